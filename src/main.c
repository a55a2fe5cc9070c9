/* SPDX-License-Identifier: MIT */
/* main.c: finds the role by argv[0], then argv[1]; hands over.
 *
 * Exit codes: 0 a clean stop, or what was asked for was shown; 1 it cannot start (one line on
 * stderr says why); 2 the command line or an environment variable is wrong (one line says what). */
#include "app/roles.h"

int main(int argc, char **argv)
{
	return roles_main(argc, argv);
}
