"""Task-sets that come with Taskgen; ``taskgen run hey.Hey1TaskSet`` names one."""
