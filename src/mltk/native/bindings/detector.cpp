// The recognizer as a Python class: owns the memory that the C code wants from its caller.
#include "detector.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace nb = nanobind;

namespace {

using Scores = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void check(mltk_detector_status status) {
  switch (status) {
    case MLTK_DETECTOR_OK:
      return;
    case MLTK_DETECTOR_TIME_NOT_RISING:
      throw std::invalid_argument("times must rise from result to result and not be negative");
    case MLTK_DETECTOR_FULL:
      throw std::invalid_argument("more results within the averaging window than there are slots for");
    default:
      throw std::invalid_argument("no classes, or fewer result slots than minimum_count");
  }
}

class Recognizer {
 public:
  Recognizer(std::vector<std::string> labels, Scores thresholds, uint32_t average_window_ms, uint16_t minimum_count,
             uint32_t suppression_ms, uint16_t n_results, bool micro_speech)
      : labels_(std::move(labels)), thresholds_(thresholds.data(), thresholds.data() + thresholds.size()) {
    if (labels_.empty() || labels_.size() > UINT16_MAX || labels_.size() != thresholds_.size()) {
      throw std::invalid_argument("labels and thresholds must be equally many, 1 to 65535");
    }
    for (const std::string &label : labels_) label_pointers_.push_back(label.c_str());
    config_.labels = label_pointers_.data();
    config_.thresholds = thresholds_.data();
    config_.n_classes = static_cast<uint16_t>(labels_.size());
    config_.minimum_count = minimum_count;
    config_.average_window_ms = average_window_ms;
    config_.suppression_ms = suppression_ms;
    config_.mode = micro_speech ? MLTK_DETECTOR_MICRO_SPEECH : MLTK_DETECTOR_TOOLKIT;
    times_ms_.resize(n_results);
    scores_.resize(static_cast<size_t>(n_results) * labels_.size());
    check(mltk_detector_init(&state_, &config_, times_ms_.data(), scores_.data(), n_results));
  }

  // The state points into this object's own vectors.
  Recognizer(const Recognizer &) = delete;
  Recognizer &operator=(const Recognizer &) = delete;

  std::tuple<bool, bool, uint16_t, uint8_t> update(Scores scores, int64_t time_ms) {
    if (scores.size() != labels_.size()) {
      throw std::invalid_argument("expected " + std::to_string(labels_.size()) + " scores, got " +
                                  std::to_string(scores.size()));
    }
    mltk_detector_decision decision;
    check(mltk_detector_update(&state_, scores.data(), time_ms, &decision));
    return {decision.is_decided, decision.is_detection, decision.class_id, decision.score};
  }

  void reset() { mltk_detector_reset(&state_); }

 private:
  std::vector<std::string> labels_;
  std::vector<const char *> label_pointers_;
  std::vector<uint8_t> thresholds_;
  std::vector<int64_t> times_ms_;
  std::vector<uint8_t> scores_;
  mltk_detector_config config_{};
  mltk_detector_state state_{};
};

}  // namespace

NB_MODULE(_detector, m) {
  m.doc() = "The recognizer of src/mltk/native/detector; mltk.detection.recognizer is the interface for users.";
  m.def("results_needed", &mltk_detector_results_needed, nb::arg("average_window_ms"), nb::arg("interval_ms"),
        nb::arg("minimum_count"));
  nb::class_<Recognizer>(m, "Recognizer")
      .def(nb::init<std::vector<std::string>, Scores, uint32_t, uint16_t, uint32_t, uint16_t, bool>(),
           nb::arg("labels"), nb::arg("thresholds").noconvert(), nb::arg("average_window_ms"), nb::arg("minimum_count"),
           nb::arg("suppression_ms"), nb::arg("n_results"), nb::arg("micro_speech"))
      .def("update", &Recognizer::update, nb::arg("scores").noconvert(), nb::arg("time_ms"),
           "Take scores (uint8 [classes]) at a time; return (is_decided, is_detection, class_id, average score).")
      .def("reset", &Recognizer::reset, "Forget all results and the previous detection.");
}
