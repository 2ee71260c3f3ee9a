// A picture of the Mandelbrot set, tile by tile. With --show_workers the picture shows which
// worker computed which tile: the farm at work.

#include <array>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "examples/mandelbrot.pb.h"
#include "examples/png_file.h"
#include "taskfarm.h"

ABSL_FLAG(std::string, output, "mandelbrot.png", "where the picture goes");
ABSL_FLAG(int, width, 1200, "pixels");
ABSL_FLAG(int, height, 800, "pixels");
ABSL_FLAG(int, tile, 64, "pixels of a tile's side");
ABSL_FLAG(int, max_iterations, 1000, "iterations after which a point counts as inside");
ABSL_FLAG(double, centre_x, -0.6, "real part of the picture's centre");
ABSL_FLAG(double, centre_y, 0.0, "imaginary part of the picture's centre");
ABSL_FLAG(double, span, 3.2, "width of the picture in the complex plane");
ABSL_FLAG(std::string, show_workers, "",
          "colour: tint each tile by its worker; outline: frame it in its worker's colour");

namespace taskfarm::examples {
namespace {

constexpr int kMaxSide = 32768;

absl::StatusOr<TileCounts> ComputeTile(const Tile& tile, TaskContext& context) {
  TileCounts reply;
  reply.mutable_counts()->Reserve(tile.width() * tile.height());
  for (int row = 0; row < tile.height(); ++row) {
    if (context.cancelled()) return absl::CancelledError("cancelled");
    const double ci = tile.top() - tile.step() * (tile.y() + row);
    for (int column = 0; column < tile.width(); ++column) {
      const double cr = tile.left() + tile.step() * (tile.x() + column);
      double zr = 0;
      double zi = 0;
      int count = 0;
      for (; count < tile.max_iterations() && zr * zr + zi * zi <= 4.0; ++count) {
        const double next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
      }
      reply.add_counts(count);
    }
  }
  return reply;
}

TASKFARM_TASK(ComputeTile);

using Colour = std::array<uint8_t, 3>;

// Hues that neighbours in number tell apart, a golden ratio of the circle apart.
Colour WorkerColour(WorkerId worker) {
  const double hue = 6.0 * std::fmod(0.618033988749895 * static_cast<double>(Value(worker)), 1.0);
  const auto channel = [hue](double at) {
    const double distance = std::fabs(std::fmod(hue - at + 9.0, 6.0) - 3.0);
    return static_cast<uint8_t>(std::lround(255 * std::fmin(1.0, std::fmax(0.0, 2.0 - distance))));
  };
  return {channel(0), channel(2), channel(4)};
}

Colour PointColour(int count, int max_iterations) {
  if (count >= max_iterations) return {0, 0, 0};
  const double t = std::sqrt(static_cast<double>(count) / max_iterations);
  const auto wave = [t](double phase) {
    return static_cast<uint8_t>(std::lround(127.5 * (1 - std::cos(6.283185307 * (2 * t + phase)))));
  };
  return {wave(0.05), wave(0.12), wave(0.25)};
}

std::vector<Tile> MakeTiles() {
  const int width = absl::GetFlag(FLAGS_width);
  const int height = absl::GetFlag(FLAGS_height);
  const int side = absl::GetFlag(FLAGS_tile);
  const double step = absl::GetFlag(FLAGS_span) / width;
  std::vector<Tile> tiles;
  for (int y = 0; y < height; y += side) {
    for (int x = 0; x < width; x += side) {
      Tile& tile = tiles.emplace_back();
      tile.set_x(x);
      tile.set_y(y);
      tile.set_width(std::min(side, width - x));
      tile.set_height(std::min(side, height - y));
      tile.set_left(absl::GetFlag(FLAGS_centre_x) - step * width / 2);
      tile.set_top(absl::GetFlag(FLAGS_centre_y) + step * height / 2);
      tile.set_step(step);
      tile.set_max_iterations(absl::GetFlag(FLAGS_max_iterations));
    }
  }
  return tiles;
}

void DrawTile(const Tile& tile, const TileCounts& counts, WorkerId worker, Picture& picture) {
  const std::string mode = absl::GetFlag(FLAGS_show_workers);
  const Colour tint = WorkerColour(worker);
  for (int row = 0; row < tile.height(); ++row) {
    for (int column = 0; column < tile.width(); ++column) {
      Colour colour =
          PointColour(counts.counts(row * tile.width() + column), tile.max_iterations());
      const bool edge = row == 0 || column == 0;
      if (mode == "outline" && edge) colour = tint;
      uint8_t* const pixel = picture.pixel(tile.x() + column, tile.y() + row);
      for (size_t i = 0; i < colour.size(); ++i) {
        pixel[i] = mode == "colour" ? static_cast<uint8_t>((colour[i] + tint[i]) / 2) : colour[i];
      }
    }
  }
}

absl::Status DrawPicture(Client& farm) {
  Picture picture(absl::GetFlag(FLAGS_width), absl::GetFlag(FLAGS_height));
  const std::vector<Tile> tiles = MakeTiles();
  for (const auto& done : farm.Map<ComputeTile>(tiles)) {
    if (!done.reply.ok()) return done.reply.status();
    const Tile& tile = tiles[done.index];
    if (done.reply->counts_size() != tile.width() * tile.height()) {
      return absl::InternalError("a tile came back with the wrong number of pixels");
    }
    DrawTile(tile, *done.reply, done.report.worker, picture);
  }
  const std::string path = absl::GetFlag(FLAGS_output);
  if (absl::Status written = WritePng(picture, path); !written.ok()) return written;
  std::cerr << "mandelbrot: " << tiles.size() << " tiles, written to " << path << "\n";
  return absl::OkStatus();
}

absl::Status CheckFlags(const std::vector<std::string>& positional) {
  if (!positional.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unexpected argument '", positional[0], "'"));
  }
  for (const int side : {absl::GetFlag(FLAGS_width), absl::GetFlag(FLAGS_height)}) {
    if (side < 1 || side > kMaxSide) {
      return absl::InvalidArgumentError(
          absl::StrCat("--width and --height must be between 1 and ", kMaxSide));
    }
  }
  if (absl::GetFlag(FLAGS_tile) < 1 || absl::GetFlag(FLAGS_tile) > 4096) {
    return absl::InvalidArgumentError("--tile must be between 1 and 4096");
  }
  if (absl::GetFlag(FLAGS_max_iterations) < 1) {
    return absl::InvalidArgumentError("--max_iterations must be at least 1");
  }
  if (!(absl::GetFlag(FLAGS_span) > 0) || !std::isfinite(absl::GetFlag(FLAGS_span))) {
    return absl::InvalidArgumentError("--span must be greater than 0");
  }
  const std::string mode = absl::GetFlag(FLAGS_show_workers);
  if (!mode.empty() && mode != "colour" && mode != "outline") {
    return absl::InvalidArgumentError("--show_workers is colour or outline");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::examples

int main(int argc, char** argv) {
  return taskfarm::Main(argc, argv, taskfarm::examples::DrawPicture,
                        {.usage = "mandelbrot: a picture of the Mandelbrot set as a PNG",
                         .check_flags = taskfarm::examples::CheckFlags});
}
