#ifndef TASKFARM_EXAMPLES_PNG_FILE_H_
#define TASKFARM_EXAMPLES_PNG_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace taskfarm::examples {

// An 8-bit RGB picture, row by row from the top left.
struct Picture {
  Picture(int picture_width, int picture_height)
      : width(picture_width),
        height(picture_height),
        rgb(3 * static_cast<size_t>(picture_width) * static_cast<size_t>(picture_height)) {}

  uint8_t* pixel(int x, int y) {
    return &rgb[3 * (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x))];
  }

  int width;
  int height;
  std::vector<uint8_t> rgb;
};

// Writes `picture` as a PNG: first beside `path`, then in its place, so that a failure leaves no
// half file there. The reason if that fails.
absl::Status WritePng(Picture& picture, const std::string& path);

}  // namespace taskfarm::examples

#endif  // TASKFARM_EXAMPLES_PNG_FILE_H_
