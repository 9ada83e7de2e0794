/* Answers to GET_PROFILE and GET_LIVE. Without a task-set there is nothing to tell, and no answer. */
#ifndef REPORT_H
#define REPORT_H

/* What was decided about each task, and how far it has come. */
void report_profile(void);

/* The activations that are under way. */
void report_live(void);

#endif
