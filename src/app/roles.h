/* SPDX-License-Identifier: MIT */
/* roles.h: from the command line to a keeper with the right workers. */
#ifndef APP_ROLES_H
#define APP_ROLES_H

/* Reads the configuration, plans, runs; returns the exit code. */
int roles_main(int argc, char **argv);

#endif
