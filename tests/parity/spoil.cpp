// SPDX-License-Identifier: MIT
// Copies a golden folder with one thing wrong: spoil FROM TO KIND
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "prytany/io/safetensors.hpp"
#include "prytany/io/safetensors_writer.hpp"

namespace fs = std::filesystem;
using namespace prytany;

namespace {

std::string read(fs::path const& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write(fs::path const& path, std::string const& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/// Changes the first element of a tensor.
template <class Number>
void change(fs::path const& path, std::string_view name, Number add) {
    io::safetensors const file{path.string()};
    io::stored const* at = file.find(name);
    if (at == nullptr) at = &file.tensors()[0];
    std::string bytes = read(path);
    char* const first = bytes.data() + at->offset;
    Number number;
    std::memcpy(&number, first, sizeof number);
    number = static_cast<Number>(number + add);
    std::memcpy(first, &number, sizeof number);
    write(path, bytes);
}

/// Writes the file again, without its first tensor.
void drop(fs::path const& path) {
    io::safetensors const file{path.string()};
    io::safetensors_writer to{path.string()};
    auto const kept = file.tensors().subspan(1);
    for (io::stored const& t : kept) to.declare(t.name, t.type, t.dims);
    for (io::stored const& t : kept) {
        std::vector<std::byte> bytes(static_cast<std::size_t>(t.bytes));
        file.read_bytes(t, 0, bytes);
        to.write_bytes(t.name, bytes);
    }
    to.commit();
    std::cout << file.tensors()[0].name << '\n';
}

void replace(fs::path const& path, std::string const& from, std::string const& to) {
    std::string text = read(path);
    std::size_t const at = text.find(from);
    if (at == std::string::npos) throw error(path.string(), from, "none");
    write(path, text.replace(at, from.size(), to));
}

} // namespace

int main(int count, char** words) {
    if (count != 4) return 2;
    fs::path const to = words[2], model = to / "model.safetensors",
                   expected = to / "expected.safetensors", config = to / "config.json";
    std::string const kind = words[3];
    fs::remove_all(to);
    fs::create_directories(to);
    fs::copy(words[1], to, fs::copy_options::recursive);
    if (kind == "weight") change(model, "", 0.5f);
    else if (kind == "missing") drop(model);
    else if (kind == "truncated") fs::resize_file(model, fs::file_size(model) - 1);
    else if (kind == "id") change(expected, "ids", std::int64_t{1});
    else if (kind == "out_of_range") change(expected, "ids", std::int64_t{-1000});
    else if (kind == "slot_weight") change(expected, "weights", 1e-3f);
    else if (kind == "family") replace(config, "\"model_type\": \"", "\"model_type\": \"un");
    else if (kind == "size") replace(config, "\"hidden_size\": ", "\"hidden_size\": 1");
    else if (kind == "no_json") write(config, "{");
    else if (kind == "no_expected") fs::remove(expected);
    else return 2;
}
