// SPDX-License-Identifier: MIT
// What the user asks for on the command line.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "prytany/core/error.hpp"
#include "prytany/exec/thread_pool.hpp"

namespace example {

struct options {
    std::string model = PRYTANY_EXAMPLE_DATA "/bytes-moe-3m";
    std::string prompt = "LADY MACBETH:\n";
    std::ptrdiff_t tokens = 192;
    double temperature = 0;
    std::uint64_t seed = 0;
    std::ptrdiff_t threads = prytany::thread_pool::cores();
    std::vector<std::string> score;
    std::string trace, report;
};

inline void check(options const& asked) {
    using prytany::error;
    if (asked.prompt.empty())
        throw error("--prompt", "at least one byte, for a model to go on from", "none");
    if (asked.tokens < 1) throw error("--tokens", "at least 1", std::to_string(asked.tokens));
    if (!(asked.temperature >= 0) || !std::isfinite(asked.temperature))
        throw error("--temperature", "0 or more", std::to_string(asked.temperature));
    if (asked.threads < 1 || asked.threads > 1024)
        throw error("--threads", "1 to 1024", std::to_string(asked.threads));
}

/// Nothing, if help was all that was wanted.
///
/// Throws    prytany::error in one sentence
inline std::optional<options> parse(int count, char** words) {
    options asked;
    CLI::App app("Runs a Mixture-of-Experts language model on bytes: writes text and shows which "
                 "experts wrote it,\nhow well the model knows some texts, and where the time goes. "
                 "Without options: the bundled model.");
    app.add_option("--model", asked.model,
                   "folder of a Qwen2-MoE checkpoint with a vocabulary of 256 bytes")
        ->type_name("DIR");
    app.add_option("--prompt", asked.prompt, "the text to go on from")->type_name("TEXT");
    app.add_option("--tokens", asked.tokens, "how many bytes to write (192)")->type_name("N");
    app.add_option("--temperature", asked.temperature,
                   "0 takes the most likely byte (default); more is more daring")
        ->type_name("T");
    app.add_option("--seed", asked.seed, "of the choices at a temperature above 0 (0)")
        ->type_name("S");
    app.add_option("--threads", asked.threads, "workers (one for each core)")->type_name("N");
    app.add_option("--score", asked.score,
                   "bits per byte of these files, instead of the model's validation texts")
        ->type_name("FILE");
    app.add_option("--trace", asked.trace,
                   "write token,layer,expert,weight,byte for every byte of prompt and text")
        ->type_name("FILE.csv");
    app.add_option("--report", asked.report, "write every figure printed, as JSON")
        ->type_name("FILE.json");
    app.footer("\nIt also writes expert_load.svg to the current folder. NO_COLOR=1 turns colours "
               "off.");
    try {
        app.parse(count, words);
    } catch (CLI::CallForHelp const&) {
        std::fputs(app.help().c_str(), stdout);
        return std::nullopt;
    } catch (CLI::ParseError const& wrong) {
        throw prytany::error(std::string(wrong.what()) + "; --help lists the options");
    }
    check(asked);
    return asked;
}

} // namespace example
