// SPDX-License-Identifier: MIT
// Every figure printed, as JSON.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "byte_time.hpp"
#include "generate.hpp"
#include "options.hpp"
#include "score.hpp"

namespace example {

/// Bytes that are not UTF-8 are replaced in `text`; `text_bytes` has them all.
inline nlohmann::ordered_json report(options const& asked, description const& of,
                                     generation const& done, speeds const& speed,
                                     memory_rates const& memory,
                                     std::vector<scored_text> const& texts) {
    using json = nlohmann::ordered_json;
    json all;
    all["model"] = {{"folder", of.folder},
                    {"layers", of.layers},
                    {"width", of.model},
                    {"heads", of.heads},
                    {"kv_heads", of.kv_heads},
                    {"positions", of.positions},
                    {"experts", of.experts},
                    {"experts_per_token", of.kept},
                    {"expert_width", of.hidden},
                    {"shared_width", of.shared_hidden},
                    {"parameters", of.parameters},
                    {"parameters_per_token", of.used_parameters},
                    {"compiled_sizes", of.fixed_sizes}};
    all["weight_type"] = of.weight_type;
    all["threads"] = asked.threads;
    all["temperature"] = asked.temperature;
    all["seed"] = asked.seed;
    all["prompt"] = asked.prompt;
    all["text"] = done.text();
    all["text_bytes"] = done.written;
    all["tokens_per_second"] = {{"prompt", speed.prompt}, {"generation", speed.generation}};
    json bits = json::object(), reference = json::object(), load = json::object();
    for (auto const& one : texts) {
        bits[one.name] = one.bits;
        if (one.reference) reference[one.name] = *one.reference;
        json layers = json::array();
        for (index_t l = 0; l < one.experts.layers(); ++l) {
            json row = json::array();
            for (index_t e = 0; e < one.experts.experts(); ++e)
                row.push_back(one.experts.share(l, e));
            layers.push_back(row);
        }
        load[one.name] = layers;
    }
    if (!texts.empty()) {
        std::vector<double> seconds;
        for (auto const& one : texts) seconds.push_back(one.seconds);
        all["tokens_per_second"]["window"] = window / median(seconds);
    }
    all["bits_per_byte"] = bits;
    all["reference_bits_per_byte"] = reference;
    all["expert_load"] = load;
    if (!texts.empty()) all["load_distance_between_texts"] = mean_distances(texts);
    json spent = json::object(), bytes = json::object();
    for (std::size_t i = 0; i <= parts; ++i) {
        spent[i < parts ? part_names[i] : "choosing"] = speed.spent[i];
        if (i < parts) bytes[part_names[i]] = of.used_bytes_of[i];
    }
    all["step_seconds"] = spent;
    auto const used = static_cast<double>(of.used_bytes);
    all["memory"] = {{"weight_bytes", of.bytes},
                     {"weight_bytes_per_token", of.used_bytes},
                     {"weight_bytes_per_token_by_step", bytes},
                     {"model_sized_bytes_per_second", memory.model},
                     {"main_memory_bytes_per_second", memory.main},
                     {"pass_seconds", used / memory.model},
                     {"pass_seconds_main_memory", used / memory.main}};
    return all;
}

inline void write_report(std::ofstream& file, std::string const& path,
                         nlohmann::ordered_json const& all) {
    file << all.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
    close(file, path);
}

} // namespace example
