#include "descs.h"

#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"

/* Depth of an element: taskset is 1, periodictask 2, a key 3, what is inside config 4 and more. */
enum { DEPTH_SET = 1, DEPTH_TASK, DEPTH_KEY, DEPTH_CONFIG };
enum { TEXT_SIZE = 4096 };

struct parse {
    XML_Parser parser;
    const char *xml;
    struct taskset *set;
    struct description *task; /* inside a periodictask, else NULL */
    int depth;
    char text[TEXT_SIZE];     /* of the key or argument that is open */
    size_t text_length;
    long config_begin;        /* byte index of <config>, or -1 */
    char *argument[ARGUMENTS_MAX + 1]; /* by number, [0] is not used */
    char *error;
    size_t error_size;
    bool failed;
};

static void fail(struct parse *parse, const char *format, ...)
{
    va_list arguments;

    if (parse->failed)
        return;
    parse->failed = true;
    va_start(arguments, format);
    vsnprintf(parse->error, parse->error_size, format, arguments);
    va_end(arguments);
    XML_StopParser(parse->parser, XML_FALSE);
}

static void begin_task(struct parse *parse)
{
    if (parse->set->count == TASKS_MAX) {
        fail(parse, "more than %d tasks", TASKS_MAX);
        return;
    }
    parse->task = &parse->set->task[parse->set->count].description;
    memset(parse->task, 0, sizeof *parse->task);
    parse->task->id = -1;
    parse->task->priority = PRIORITY_NONE;
}

static void XMLCALL element_begin(void *data, const char *name, const char **attributes)
{
    struct parse *parse = data;

    (void)attributes;
    parse->depth++;
    parse->text_length = 0;
    if (parse->depth == DEPTH_SET && strcmp(name, "taskset") != 0)
        fail(parse, "<%s> in place of <taskset>", name);
    else if (parse->depth == DEPTH_TASK && strcmp(name, "periodictask") == 0)
        begin_task(parse);
    else if (parse->depth == DEPTH_KEY && strcmp(name, "config") == 0)
        parse->config_begin = XML_GetCurrentByteIndex(parse->parser);
}

static void XMLCALL element_text(void *data, const char *text, int length)
{
    struct parse *parse = data;
    size_t room = sizeof parse->text - 1 - parse->text_length;

    if (parse->task == NULL || parse->depth < DEPTH_KEY)
        return;
    if ((size_t)length > room) {
        /* A long text is legal somewhere deep in a config, which is handed over as it is. */
        if (parse->depth == DEPTH_KEY)
            fail(parse, "a value of more than %d bytes", TEXT_SIZE - 1);
        length = (int)room;
    }
    memcpy(parse->text + parse->text_length, text, (size_t)length);
    parse->text_length += (size_t)length;
}

/* Inside config: arg1, arg2 … become arguments of the process. */
static void end_argument(struct parse *parse, const char *name)
{
    char *rest;

    if (strncmp(name, "arg", 3) != 0 || name[3] < '1' || name[3] > '9')
        return;
    unsigned long number = strtoul(name + 3, &rest, 10);
    if (*rest != '\0')
        return;
    if (number > ARGUMENTS_MAX || parse->argument[number] != NULL) {
        fail(parse, "<%s>: %s", name, number > ARGUMENTS_MAX ? "too many arguments" : "twice");
        return;
    }
    parse->argument[number] = strdup(parse->text);
}

static void end_config(struct parse *parse)
{
    static const char variable[] = "TASKGEN_CONFIG=";
    long end = XML_GetCurrentByteIndex(parse->parser) + XML_GetCurrentByteCount(parse->parser);
    size_t length = (size_t)(end - parse->config_begin);
    size_t prefix = sizeof variable - 1;

    free(parse->task->config);
    parse->task->config = malloc(prefix + length + 1);
    if (parse->task->config == NULL) {
        fail(parse, "no memory");
        return;
    }
    memcpy(parse->task->config, variable, prefix);
    memcpy(parse->task->config + prefix, parse->xml + parse->config_begin, length);
    parse->task->config[prefix + length] = '\0';
}

static void end_task(struct parse *parse)
{
    struct description *task = parse->task;
    size_t count = 0;

    parse->task = NULL;
    parse->set->count++; /* counted first, so that what it holds is freed with the others */
    if (task->id < 0)
        fail(parse, "a task without an id");
    else if (task->pkg[0] == '\0')
        fail(parse, "task %lld has no pkg", (long long)task->id);
    for (unsigned i = 0; i + 1 < parse->set->count; i++)
        if (parse->set->task[i].description.id == task->id)
            fail(parse, "the id %lld twice", (long long)task->id);
    task->arguments[count++] = strdup(task->pkg);
    for (unsigned i = 1; i <= ARGUMENTS_MAX; i++) {
        if (parse->argument[i] != NULL)
            task->arguments[count++] = parse->argument[i];
        parse->argument[i] = NULL;
    }
}

static void XMLCALL element_end(void *data, const char *name)
{
    struct parse *parse = data;
    int depth = parse->depth--;

    parse->text[parse->text_length] = '\0';
    if (parse->task == NULL) {
        parse->text_length = 0;
        return;
    }
    if (depth == DEPTH_TASK) {
        end_task(parse);
    } else if (depth == DEPTH_KEY && parse->config_begin >= 0) {
        end_config(parse);
        parse->config_begin = -1;
    } else if (depth == DEPTH_KEY) {
        const char *wrong = key_set(parse->task, name, parse->text);
        if (wrong != NULL)
            fail(parse, "task %lld: <%s>%.40s</%s>: %s", (long long)parse->task->id, name,
                 parse->text, name, wrong);
    } else if (depth == DEPTH_CONFIG && parse->config_begin >= 0) {
        end_argument(parse, name);
    }
    parse->text_length = 0;
}

/* Nothing of ours needs a document type, and entities would falsify byte positions. */
static void XMLCALL doctype_begin(void *data, const char *name, const char *system_id,
                                  const char *public_id, int has_internal_subset)
{
    (void)name, (void)system_id, (void)public_id, (void)has_internal_subset;
    fail(data, "a document type is not allowed");
}

void descs_free(struct description *description)
{
    for (unsigned i = 0; i < ARGUMENTS_MAX + 2; i++)
        free(description->arguments[i]);
    free(description->config);
    memset(description, 0, sizeof *description);
}

static void forget_all(struct parse *parse)
{
    for (unsigned i = 1; i <= ARGUMENTS_MAX; i++)
        free(parse->argument[i]);
    if (parse->task != NULL)
        descs_free(parse->task);
    for (unsigned i = 0; i < parse->set->count; i++)
        descs_free(&parse->set->task[i].description);
    parse->set->count = 0;
}

bool descs_parse(const char *xml, size_t length, struct taskset *set, char *error,
                 size_t error_size)
{
    struct parse parse = {.xml = xml, .set = set, .config_begin = -1,
                          .error = error, .error_size = error_size};

    set->count = 0;
    while (length > 0 && xml[length - 1] == '\0')
        length--;
    parse.parser = XML_ParserCreate(NULL);
    if (parse.parser == NULL) {
        snprintf(error, error_size, "no memory");
        return false;
    }
    XML_SetHashSalt(parse.parser, 1); /* else expat waits for entropy that a young guest lacks */
    XML_SetUserData(parse.parser, &parse);
    XML_SetElementHandler(parse.parser, element_begin, element_end);
    XML_SetCharacterDataHandler(parse.parser, element_text);
    XML_SetStartDoctypeDeclHandler(parse.parser, doctype_begin);
    if (XML_Parse(parse.parser, xml, (int)length, XML_TRUE) == XML_STATUS_ERROR && !parse.failed)
        fail(&parse, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(parse.parser),
             XML_ErrorString(XML_GetErrorCode(parse.parser)));
    XML_ParserFree(parse.parser);
    if (parse.failed)
        forget_all(&parse);
    return !parse.failed;
}
