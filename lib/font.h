/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_FONT_H
#define HPH_FONT_H

#include <stdbool.h>

#define HPH_GLYPH_WIDTH		5u
#define HPH_GLYPH_HEIGHT	9u	/* of these so many above the line: */
#define HPH_GLYPH_RISE		7u

bool hph_font_dot(char letter, unsigned int x, unsigned int y);

#endif /* HPH_FONT_H */
