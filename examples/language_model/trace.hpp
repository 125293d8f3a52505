// SPDX-License-Identifier: MIT
// Files to write, and who read every byte as one of them.
#pragma once

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "console.hpp"
#include "generate.hpp"

namespace example {

inline std::ofstream open_to_write(std::string const& path) {
    errno = 0;
    std::ofstream file(path, std::ios::binary);
    if (!file)
        throw prytany::error(path, "a file that can be written",
                             errno == 0 ? "an error" : std::strerror(errno));
    return file;
}
inline void close(std::ofstream& file, std::string const& path) {
    file.close();
    if (!file) throw prytany::error(path, "room to write all of it", "a write that failed");
}

/// One row for every slot: the place of the byte in prompt and text, its layer, the expert, its
/// weight, and the value of the byte.
inline void write_trace(std::ofstream& file, std::string const& path, generation const& done) {
    file << "token,layer,expert,weight,byte\n";
    auto const given = std::ssize(done.prompt);
    for (index_t t = 0; t < done.who.bytes(); ++t) {
        auto const& from = t < given ? done.prompt : done.written;
        int const byte = from[static_cast<std::size_t>(t < given ? t : t - given)];
        for (index_t l = 0; l < done.who.layers(); ++l)
            for (auto const& slot : done.who.of(t, l))
                file << text("%td,%td,%d,%.8g,%d\n", t, l, slot.expert,
                             static_cast<double>(slot.weight), byte);
    }
    close(file, path);
}

} // namespace example
