/* A small bitmap font for the labels of pictures: 5 x 9 pixels a glyph, the last two rows below the
 * base line. Letters have one case; what has no glyph is left blank. */
#ifndef OP_FONT_H
#define OP_FONT_H

#include <stdbool.h>
#include <stdint.h>

#define OP_FONT_WIDTH 5
#define OP_FONT_HEIGHT 9
#define OP_FONT_ADVANCE 6

/* Whether pixel (x, y) of the glyph is set; y counts downwards. */
bool op_font_pixel(char c, uint32_t x, uint32_t y);

#endif
