/* Softmax to scores with scale 1/256 and zero point -128, in gemmlowp's fixed point: differences to the largest input
 * have 5 integer bits, the sum of the exponentials 12. */
#include "fixed_point.h"
#include "mltk_nn.h"

enum { SUM_INTEGER_BITS = 12, ONE = INT32_MAX };

/* exp(x) for x in [-1/4, 0), both with 31 fractional bits: a Taylor series around -1/8. */
static int32_t exp_quarter(int32_t x) {
  const int32_t exp_minus_eighth = 1895147668; /* exp(-1/8) */
  const int32_t third = 715827883;             /* 1/3 */
  x += 1 << 28;
  const int32_t x2 = mltk_multiply_high(x, x);
  const int32_t x3 = mltk_multiply_high(x2, x);
  const int32_t x4 = mltk_multiply_high(x2, x2);
  const int32_t x4_over_4 = mltk_divide_by_power(x4, 2);
  const int32_t rest = mltk_divide_by_power(mltk_multiply_high(x4_over_4 + x3, third) + x2, 1);
  return exp_minus_eighth + mltk_multiply_high(exp_minus_eighth, x + rest);
}

/* exp(x) with 31 fractional bits for x <= 0 with 26. */
static int32_t exp_negative(int32_t x) {
  /* exp(-2^(i - 2)) for i = 0 to 6: one factor for each bit above the quarter. */
  static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = 1 << 24;
  if (x == 0) return ONE;
  const int32_t within = (x & (quarter - 1)) - quarter;
  const int32_t remainder = within - x;
  int32_t result = exp_quarter(mltk_shift_left(within, 5));
  for (int32_t i = 0; i < 7; ++i) {
    if (remainder & (1 << (24 + i))) result = mltk_multiply_high(result, factors[i]);
  }
  return result;
}

static int32_t leading_zeros(uint32_t x) {
  int32_t count = 32;
  while (x) {
    x >>= 1;
    --count;
  }
  return count;
}

/* (a + b) / 2, a half rounded away from zero. */
static int32_t half_sum(int32_t a, int32_t b) {
  const int64_t sum = (int64_t)a + b;
  return (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
}

static int32_t saturate(int64_t x) { return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x; }

/* 1 / (1 + x) for x in [0, 1) with 31 fractional bits: Newton's method on the half denominator, with 2 integer bits. */
static int32_t reciprocal_of_one_plus(int32_t x) {
  const int32_t half_denominator = half_sum(x, ONE);
  int32_t estimate = 1515870810 + mltk_multiply_high(half_denominator, -1010580540); /* 48/17 - 32/17 * d */
  for (int i = 0; i < 3; ++i) {
    const int32_t error = (1 << 29) - mltk_multiply_high(half_denominator, estimate);
    estimate += saturate((int64_t)mltk_multiply_high(estimate, error) * 4);
  }
  return saturate((int64_t)estimate * 2);
}

void mltk_softmax_s8(const mltk_softmax_s8_params *params, const int8_t *input, int8_t *output) {
  for (uint32_t row = 0; row < params->rows; ++row) {
    int32_t largest = INT8_MIN;
    for (uint32_t c = 0; c < params->depth; ++c) largest = input[c] > largest ? input[c] : largest;
    uint32_t sum = 0;
    for (uint32_t c = 0; c < params->depth; ++c) {
      const int32_t difference = input[c] - largest;
      if (difference < params->difference_min) continue;
      const int32_t scaled = mltk_requantize(difference, params->multiplier, params->shift);
      sum += (uint32_t)mltk_divide_by_power(exp_negative(scaled), SUM_INTEGER_BITS);
    }
    const int32_t headroom = leading_zeros(sum);
    const int32_t scale = reciprocal_of_one_plus((int32_t)((sum << headroom) - (UINT32_C(1) << 31)));
    const int32_t bits = SUM_INTEGER_BITS - headroom + 31 - 8;
    for (uint32_t c = 0; c < params->depth; ++c) {
      const int32_t difference = input[c] - largest;
      int32_t score = INT8_MIN;
      if (difference >= params->difference_min) {
        const int32_t scaled = mltk_requantize(difference, params->multiplier, params->shift);
        score += mltk_divide_by_power(mltk_multiply_high(scale, exp_negative(scaled)), bits);
      }
      output[c] = mltk_clamp_s8(score, INT8_MIN, INT8_MAX);
    }
    input += params->depth;
    output += params->depth;
  }
}
