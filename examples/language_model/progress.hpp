// SPDX-License-Identifier: MIT
// A bar for work that turns out to take longer than two seconds.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

#include <unistd.h>

namespace example {

/// Shows nothing for two seconds, then a bar on standard error, if that is a terminal; the bar goes
/// away with the object.
class progress {
    using clock = std::chrono::steady_clock;

public:
    progress(std::string what, std::ptrdiff_t total)
        : what_(std::move(what)), total_(std::max<std::ptrdiff_t>(total, 1)) {}
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;
    ~progress() {
        if (!shown_) return;
        std::fputs("\r\033[K", stderr);
        std::fflush(stderr);
    }
    void advance(std::ptrdiff_t by = 1) {
        done_ += by;
        if (!terminal_) return;
        auto const now = clock::now();
        if (now < next_) return;
        next_ = now + std::chrono::milliseconds(100);
        draw(std::chrono::duration<double>(now - start_).count());
    }

private:
    std::string what_;
    std::ptrdiff_t total_, done_ = 0;
    bool const terminal_ = isatty(STDERR_FILENO) == 1;
    bool shown_ = false;
    clock::time_point const start_ = clock::now();
    clock::time_point next_ = start_ + std::chrono::seconds(2);

    void draw(double seconds) {
        constexpr int width = 32;
        double const part = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
        std::string bar;
        for (int i = 0; i < width; ++i) bar += i < part * width ? "█" : "░";
        if (!shown_) std::fflush(stdout);
        shown_ = true;
        std::fprintf(stderr, "\r\033[K%s %s %3.0f %%, %.0f s left", what_.c_str(), bar.c_str(),
                     100 * part, part > 0 ? seconds / part - seconds : 0.0);
        std::fflush(stderr);
    }
};

} // namespace example
