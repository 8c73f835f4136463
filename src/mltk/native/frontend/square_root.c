/* From energies back to amplitudes: rounded square roots, by a table of 8 bits and one division for each further 8. */
#include "mltk_fe_stages.h"

/* floor(sqrt(x)) of the largest 16-bit x that begins with each byte from 64 on. */
static const uint8_t roots[192] = {
    128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 143, 144, 145, 146, 147, 148,
    149, 150, 150, 151, 152, 153, 154, 155, 155, 156, 157, 158, 159, 159, 160, 161, 162, 163, 163, 164, 165, 166,
    167, 167, 168, 169, 170, 170, 171, 172, 173, 173, 174, 175, 175, 176, 177, 178, 178, 179, 180, 181, 181, 182,
    183, 183, 184, 185, 185, 186, 187, 187, 188, 189, 189, 190, 191, 191, 192, 193, 193, 194, 195, 195, 196, 197,
    197, 198, 199, 199, 200, 201, 201, 202, 203, 203, 204, 204, 205, 206, 206, 207, 207, 208, 209, 209, 210, 211,
    211, 212, 212, 213, 214, 214, 215, 215, 216, 217, 217, 218, 218, 219, 219, 220, 221, 221, 222, 222, 223, 223,
    224, 225, 225, 226, 226, 227, 227, 228, 229, 229, 230, 230, 231, 231, 232, 232, 233, 234, 234, 235, 235, 236,
    236, 237, 237, 238, 238, 239, 239, 240, 241, 241, 242, 242, 243, 243, 244, 244, 245, 245, 246, 246, 247, 247,
    248, 248, 249, 249, 250, 250, 251, 251, 252, 252, 253, 253, 254, 254, 255, 255,
};

/* x is in [2^30, 2^32): its root has 16 bits. */
static inline uint32_t root_16(uint32_t x) {
  const uint32_t high = x >> 16;
  uint32_t root = roots[(x >> 24) - 64];
  uint32_t rest, part, quotient, left;
  /* The table's root is that of the largest number: right, or one too large. */
  root -= root * root > high ? 1u : 0u;
  rest = high - root * root;
  /* The next 8 bits by division (Zimmermann, Karatsuba Square Root, 1999): right, or one too large. */
  part = rest << 8 | ((x >> 8) & 0xFFu);
  quotient = part / (2 * root);
  left = (part - quotient * 2 * root) << 8 | (x & 0xFFu);
  root = (root << 8) + quotient;
  return root - (left < quotient * quotient ? 1u : 0u);
}

/* floor(sqrt(x)), x < 2^60; sums of energies stay below 2^58. */
static inline uint32_t root_of(uint64_t x) {
  const uint32_t high = (uint32_t)(x >> 32);
  uint32_t bits, root, quotient, part, left, last;
  if (high == 0) {
    const uint32_t low = (uint32_t)x;
    if (low == 0) {
      return 0;
    }
    bits = (32u - mltk_fe_bit_length(low)) & ~1u;
    return root_16(low << bits) >> (bits / 2);
  }
  /* Two more bits of x for each further bit of the root, 1 to 14 of them. */
  bits = (mltk_fe_bit_length(high) + 1) / 2;
  part = (uint32_t)(x >> (2 * bits));
  root = root_16(part);
  last = ((uint32_t)1 << bits) - 1;
  part = (part - root * root) << bits | ((uint32_t)(x >> bits) & last);
  quotient = part / (2 * root);
  left = (part - quotient * 2 * root) << bits | ((uint32_t)x & last);
  root = (root << bits) + quotient;
  return root - (left < quotient * quotient ? 1u : 0u);
}

void mltk_fe_square_root(uint32_t n_channels, const uint64_t *MLTK_FE_RESTRICT sums,
                         const uint32_t shift[MLTK_FE_LANES], uint32_t *MLTK_FE_RESTRICT signal) {
  uint32_t channel;
  int lane;
  for (channel = 0; channel < n_channels; ++channel) {
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      const size_t place = (size_t)channel * MLTK_FE_LANES + (uint32_t)lane;
      const uint64_t x = sums[place];
      const uint32_t root = root_of(x);
      /* To the nearest. What is left, at most twice the root, fits the low bits. TensorFlow's op takes numbers below
       * 2^32 through 16 bits: only they are kept from rounding up to 65536. */
      const uint32_t left = (uint32_t)x - root * root;
      const uint32_t is_up = left > root && !(root == 0xFFFFu && (x >> 32) == 0) ? 1u : 0u;
      signal[place] = (root + is_up) >> shift[lane];
    }
  }
}
