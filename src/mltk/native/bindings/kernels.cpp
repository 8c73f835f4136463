// The int8 kernels as Python calls: one entry a kernel, made from its C prototype alone.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mltk_nn.h"

namespace nb = nanobind;

namespace {

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
// Addresses of memory that the caller (mltk.tflite.plan.engine) holds: inputs, outputs, scratch.
using Pointers = std::vector<uintptr_t>;

struct Entry {
  size_t params_bytes;
  size_t n_pointers;
  void (*call)(const void *params, const Pointers &pointers);
  size_t (*scratch_bytes)(const void *params);
};

// A kernel is void mltk_NAME(const PARAMS *, tensors and scratch...).
template <auto Function>
struct Kernel;

template <typename Params, typename... Memory, void (*Function)(const Params *, Memory *...)>
struct Kernel<Function> {
  static Entry entry() { return {sizeof(Params), sizeof...(Memory), &call, nullptr}; }

  template <size_t (*Sizing)(const Params *)>
  static Entry entry_with_scratch() {
    Entry result = entry();
    result.scratch_bytes = [](const void *params) { return Sizing(static_cast<const Params *>(params)); };
    return result;
  }

 private:
  static void call(const void *params, const Pointers &pointers) {
    call_with(params, pointers, std::index_sequence_for<Memory...>{});
  }

  template <size_t... Place>
  static void call_with(const void *params, const Pointers &pointers, std::index_sequence<Place...>) {
    Function(static_cast<const Params *>(params), reinterpret_cast<Memory *>(pointers[Place])...);
  }
};

#define MLTK_KERNEL(name) {#name, Kernel<name>::entry()}
#define MLTK_KERNEL_WITH_SCRATCH(name) {#name, Kernel<name>::entry_with_scratch<name##_scratch_bytes>()}

const std::map<std::string, Entry> &entries() {
  static const std::map<std::string, Entry> all = {
      MLTK_KERNEL_WITH_SCRATCH(mltk_conv_s8),
      MLTK_KERNEL_WITH_SCRATCH(mltk_depthwise_conv_s8),
      MLTK_KERNEL(mltk_fully_connected_s8),
      MLTK_KERNEL(mltk_softmax_s8),
      MLTK_KERNEL(mltk_average_pool_s8),
      MLTK_KERNEL(mltk_max_pool_s8),
      MLTK_KERNEL(mltk_mean_s8),
      MLTK_KERNEL(mltk_add_s8),
      MLTK_KERNEL(mltk_mul_s8),
      MLTK_KERNEL(mltk_squared_difference_s8),
      MLTK_KERNEL(mltk_lookup_s8),
      MLTK_KERNEL(mltk_quantize_f32_s8),
      MLTK_KERNEL(mltk_dequantize_s8_f32),
      MLTK_KERNEL_WITH_SCRATCH(mltk_lstm_s8),
      MLTK_KERNEL(mltk_copy),
      MLTK_KERNEL(mltk_fill),
  };
  return all;
}

const Entry &find(const std::string &name, const Bytes &params) {
  const auto found = entries().find(name);
  if (found == entries().end()) throw std::invalid_argument("there is no kernel " + name);
  if (params.size() != found->second.params_bytes) {
    throw std::invalid_argument(name + " takes parameters of " + std::to_string(found->second.params_bytes) +
                                " bytes, got " + std::to_string(params.size()));
  }
  return found->second;
}

void call(const std::string &name, Bytes params, const Pointers &pointers) {
  const Entry &entry = find(name, params);
  if (pointers.size() != entry.n_pointers) {
    throw std::invalid_argument(name + " takes " + std::to_string(entry.n_pointers) + " pointers, got " +
                                std::to_string(pointers.size()));
  }
  entry.call(params.data(), pointers);
}

size_t scratch_bytes(const std::string &name, Bytes params) {
  const Entry &entry = find(name, params);
  return entry.scratch_bytes ? entry.scratch_bytes(params.data()) : 0;
}

}  // namespace

NB_MODULE(_kernels, m) {
  m.doc() = "The int8 kernels of src/mltk/native/kernels; mltk.tflite.plan.engine is the interface for users.";
  m.def(
      "call", &call, nb::arg("name"), nb::arg("params").noconvert(), nb::arg("pointers"),
      "Call a kernel with its struct of parameters (uint8 [bytes]) and the addresses of inputs, outputs and scratch.");
  m.def("scratch_bytes", &scratch_bytes, nb::arg("name"), nb::arg("params").noconvert(),
        "Return the scratch memory that a kernel needs with these parameters.");
}
