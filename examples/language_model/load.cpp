// SPDX-License-Identifier: MIT
// Finds out what a folder holds and loads it.
#include <filesystem>
#include <utility>

#include "stored_as.hpp"

namespace example {

namespace {

/// Whether all weight matrices are stored in this type; routers and vectors run in float anyway.
bool all_are(io::checkpoint const& source, io::element type) {
    for (auto const& tensor : source.tensors())
        if (tensor.dims.size() > 1 && tensor.type != type && !tensor.name.ends_with("gate.weight"))
            return false;
    return true;
}

} // namespace

std::unique_ptr<model> load(std::string const& folder, thread_pool& pool) {
    namespace fs = std::filesystem;
    if (!fs::is_directory(folder))
        throw error("--model " + folder, "a folder with config.json and model.safetensors",
                    fs::exists(folder) ? "a file" : "a path where nothing is");
    family::config const config(folder);
    if (index_t const words = config.integer("vocab_size"); words != 256)
        throw error(config.where() + ": vocab_size",
                    "256, since without a tokenizer only byte models can be run",
                    std::to_string(words));
    io::checkpoint const source(folder);
    index_t count = 0;
    for (auto const& tensor : source.tensors()) count += tensor.count();
    progress bar("loading", count);
    shown_source const shown(source, bar);
    if (all_are(source, io::element::bf16)) return make<bf16>(shown, config, pool);
    if (all_are(source, io::element::f16)) return make<f16>(shown, config, pool);
    return make<float>(shown, config, pool);
}

} // namespace example
