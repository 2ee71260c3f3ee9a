#include "examples/png_file.h"

#include <png.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace taskfarm::examples {

absl::Status WritePng(Picture& picture, const std::string& path) {
  png_image image;
  std::memset(&image, 0, sizeof(image));
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  const std::string partial = absl::StrCat(path, ".part");
  if (png_image_write_to_file(&image, partial.c_str(), /*convert_to_8_bit=*/0, picture.rgb.data(),
                              /*row_stride=*/0, /*colormap=*/nullptr) == 0) {
    std::remove(partial.c_str());
    return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", image.message));
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) {
    const std::string reason = std::strerror(errno);
    std::remove(partial.c_str());
    return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", reason));
  }
  return absl::OkStatus();
}

}  // namespace taskfarm::examples
