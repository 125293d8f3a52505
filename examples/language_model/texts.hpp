// SPDX-License-Identifier: MIT
// Which texts are scored, under which names, and what others found for them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "options.hpp"
#include "score.hpp"

namespace example {

struct text_file {
    std::string name, path;
};

/// The files asked for, else the validation texts of the model, else the bundled ones. A name is
/// the file's own, or its path where two files have the same.
inline std::vector<text_file> texts_to_score(options const& asked) {
    namespace fs = std::filesystem;
    std::vector<text_file> files;
    auto const add = [&](fs::path const& path) {
        files.push_back({path.filename().string(), path.string()});
    };
    for (auto const& path : asked.score) add(path);
    for (fs::path const folder : {asked.model, options{}.model}) {
        if (!files.empty() || !fs::is_directory(folder / "validation")) continue;
        for (auto const& entry : fs::directory_iterator(folder / "validation"))
            if (entry.path().extension() == ".txt") add(entry.path());
        std::sort(files.begin(), files.end(),
                  [](auto const& a, auto const& b) { return a.name < b.name; });
    }
    auto const all = files;
    for (auto& file : files)
        if (std::count_if(all.begin(), all.end(),
                          [&](auto const& other) { return other.name == file.name; }) > 1)
            file.name = file.path;
    return files;
}

/// The figure of the model's reference.json for one of its own validation texts.
inline std::optional<double> reference_of(std::string const& model, text_file const& file) {
    namespace fs = std::filesystem;
    fs::path const path = file.path, folder = model;
    std::error_code none;
    if (!fs::equivalent(path.parent_path(), folder / "validation", none)) return {};
    std::ifstream from(folder / "reference.json");
    auto const json = nlohmann::json::parse(from, nullptr, false);
    if (!json.is_object() || !json.contains("bits_per_byte")) return {};
    auto const& figures = json["bits_per_byte"];
    auto const name = path.stem().string();
    if (!figures.contains(name) || !figures[name].is_number()) return {};
    return figures[name].get<double>();
}

inline std::vector<scored_text> score_all(model& with, std::vector<text_file> const& files,
                                          std::string const& folder) {
    namespace fs = std::filesystem;
    std::vector<scored_text> scored;
    if (with.about().positions < window) return scored;
    index_t bytes = 0;
    std::error_code none;
    for (auto const& file : files)
        if (auto const size = fs::file_size(file.path, none); !none)
            bytes += static_cast<index_t>(size);
    progress bar("scoring", bytes);
    for (auto const& file : files) {
        scored.push_back(score(with, file.name, file.path, bar));
        scored.back().reference = reference_of(folder, file);
    }
    return scored;
}

} // namespace example
