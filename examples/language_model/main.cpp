// SPDX-License-Identifier: MIT
// Runs a Mixture-of-Experts language model on bytes and shows which experts do what.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include "byte_time.hpp"
#include "console.hpp"
#include "generate.hpp"
#include "glyph.hpp"
#include "heatmap_svg.hpp"
#include "load_table.hpp"
#include "model.hpp"
#include "options.hpp"
#include "report.hpp"
#include "texts.hpp"
#include "timing.hpp"
#include "trace.hpp"
#include "written_by.hpp"

namespace example {
namespace {

void print_model(console const& out, description const& of, options const& asked) {
    out.heading(of.name + ", a language model on bytes");
    std::printf("  %s parameters, of which one byte uses %s; weights in %s, as stored (%s)\n"
                "  %td layers of width %td; attention: %td heads, %td of keys and values; up to %s "
                "bytes of text\n"
                "  experts: %td of width %td in every layer, each byte goes to %td",
                grouped(of.parameters).c_str(), grouped(of.used_parameters).c_str(),
                of.weight_type.c_str(), size_text(static_cast<double>(of.bytes)).c_str(), of.layers,
                of.model, of.heads, of.kv_heads, grouped(of.positions).c_str(), of.experts,
                of.hidden, of.kept);
    if (of.shared_hidden > 0) std::printf(", and to a shared one of width %td", of.shared_hidden);
    std::printf("\n  runs %s; threads: %td\n",
                of.fixed_sizes ? "the form compiled for exactly these sizes"
                               : "the form for any sizes",
                asked.threads);
}

void print_text(console const& out, description const& of, generation const& done,
                options const& asked) {
    out.heading("Text");
    index_t column = 0;
    std::string const prompt = readable(asked.prompt, column);
    std::printf("  %s%s\n", out.dim(prompt).c_str(), readable(done.text(), column).c_str());
    index_t const layer = most_varied_layer(done, of.experts);
    out.heading(text("Who wrote it: below each byte, the expert with the largest weight in layer "
                     "%td",
                     layer));
    print_written_by(out, done, layer);
    print_writers(out, done, layer, of.experts);
}

void print_speed(generation const& done, speeds const& speed) {
    std::printf("  prompt      %10s tokens per second  (%td bytes at once)\n"
                "  generation  %10s tokens per second  (one byte after the other)\n",
                grouped(std::lround(speed.prompt)).c_str(), std::ssize(done.prompt),
                grouped(std::lround(speed.generation)).c_str());
}

void print_bits(console const& out, std::vector<scored_text> const& texts) {
    std::printf("  %s\n", out.dim(text("%-24s %10s %12s %12s %14s", "text", "bytes", "bits/byte",
                                       "reference", "relative diff."))
                              .c_str());
    std::vector<double> seconds;
    for (auto const& one : texts) {
        std::printf("  %s %10s %12.5f", fitted(one.name, 24).c_str(), grouped(one.bytes).c_str(),
                    one.bits);
        if (one.reference)
            std::printf(" %12.5f %14.1e", *one.reference, one.bits / *one.reference - 1);
        std::printf("\n");
        seconds.push_back(one.seconds);
    }
    std::printf("  %s\n", out.dim("read at " + grouped(std::lround(window / median(seconds))) +
                                  " tokens per second, 256 at once")
                              .c_str());
}

void print_load(console const& out, description const& of, std::vector<scored_text> const& texts) {
    print_loads(out, texts);
    if (texts.size() > 1) {
        std::printf("  %-12s ", "apart");
        for (double const far : mean_distances(texts)) std::printf(" %.2f", far);
        std::printf("   by layer: the share of slots that\n  %-12s  would have to move to make two "
                    "texts alike, mean over pairs\n",
                    "");
    }
    std::string const path = "expert_load.svg";
    try {
        heatmap_svg(path, of, texts);
        std::printf("\n  as a picture: %s\n", std::filesystem::absolute(path).c_str());
    } catch (prytany::error const& wrong) {
        std::printf("\n  no picture: %s\n", wrong.what());
    }
}

void run(options const& asked) {
    console const out;
    std::ofstream trace, summary;
    if (!asked.trace.empty()) trace = open_to_write(asked.trace);
    if (!asked.report.empty()) summary = open_to_write(asked.report);
    prytany::thread_pool pool(asked.threads);
    auto const model = load(asked.model, pool);
    description const& of = model->about();
    if (!asked.score.empty() && of.positions < window)
        throw prytany::error("--score", "a model with at least 256 positions, for whole windows",
                             std::to_string(of.positions));

    print_model(out, of, asked);
    auto const done =
        generate(*model, asked.prompt, asked.tokens, chooser(asked.temperature, asked.seed));
    print_text(out, of, done, asked);
    out.heading("Speed");
    auto const speed = measure(*model, done, 0.7);
    print_speed(done, speed);

    auto const texts = score_all(*model, texts_to_score(asked), asked.model);
    if (of.positions < window) {
        out.heading("Bits per byte and expert load");
        std::printf("  left out: a window takes 256 positions, and this model has %td\n",
                    of.positions);
    }
    if (!texts.empty()) {
        out.heading("Bits per byte, in windows of 256 bytes (8 = knows nothing)");
        print_bits(out, texts);
        out.heading("Expert load: percent of a layer's slots, by text");
        print_load(out, of, texts);
    }
    out.heading("Where the time of one generated byte goes");
    auto const memory = measure_memory(pool, of);
    print_byte_time(out, of, speed, memory);

    if (trace.is_open()) write_trace(trace, asked.trace, done);
    if (summary.is_open())
        write_report(summary, asked.report, report(asked, of, done, speed, memory, texts));
    if (std::fflush(stdout) != 0)
        throw prytany::error("standard output", "room to write", "a write that failed");
}

} // namespace
} // namespace example

int main(int count, char** words) {
    try {
        if (auto const asked = example::parse(count, words)) example::run(*asked);
        return 0;
    } catch (std::exception const& wrong) {
        std::fflush(stdout);
        std::fprintf(stderr, "language_model: %s\n", wrong.what());
        return 1;
    }
}
