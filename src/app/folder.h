/* SPDX-License-Identifier: MIT */
/* folder.h: --root DIR: files of a folder as replies. Each request opens its file anew, so that a
 * change is noticed; nothing outside the folder can be reached. */
#ifndef APP_FOLDER_H
#define APP_FOLDER_H

#include "app/conn.h"

/* The file of a decoded path, or the folder's index.html for a path without an extension. False:
 * there is no such file (nothing was answered). */
bool folder_reply(struct conn *, int dir, struct slice path);

#endif
