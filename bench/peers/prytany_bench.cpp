// SPDX-License-Identifier: MIT
// Tokens per second of a whole language model, by the protocol of llama.cpp's llama-bench:
//
//     prytany_bench [--model FOLDER] [--type f32,bf16,f16,q8_0] [--threads 1,2] [--prompt 256]
//                   [--generate 64] [--repeat 5] [--parts]
//
// q8_0 stands for what is nearest to llama.cpp's type: int8 weights with a scale for every 32, and
// activations rounded to 16 bits where llama.cpp rounds them to 8.
//
// Prompt: all tokens in one call, the logits of the last one. Generation: one token a call from an
// empty cache, its logits each time. Tokens are random; one run to warm up, then `repeat` timed ones.
// With --parts it also prints the medians of the parts of one generated token, and how fast one core reads
// a buffer as large as this model's weights.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prytany/exec/thread_pool.hpp"
#include "prytany/family/qwen2_moe_decoder.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/io/checkpoint.hpp"
#include "prytany/layer/any_layer.hpp"
#include "support/machine.hpp"

namespace {

using namespace prytany;
using bench::clock;
using bench::median;
using bench::seconds_since;

struct options {
    std::string model = PRYTANY_EXAMPLE_DATA "/bytes-moe-3m";
    std::vector<std::string> types{"f32", "bf16", "f16"};
    std::vector<index_t> threads{1, 2};
    index_t prompt = 256, generate = 64, repeat = 5;
    bool parts = false;
};

/// The layer of the bundled model with every size known to the compiler, then the one for any size.
template <auto Format>
using layer_of =
    any_layer<moe<shape{128, 64, 16, 1, 128}, top_k{.k = 4}, ffn{swiglu}, Format, shared_gate{}>,
              family::qwen2_moe::layer<Format>>;

/// How long the parts of each pass take.
struct part_times {
    static constexpr std::array names{"embed", "attention", "norm", "experts", "head"};
    clock::time_point last{};
    std::array<double, 5> sums{};
    std::array<std::vector<double>, 5> all;

    void routed(index_t, routing const&) const noexcept {}
    void passed(step done) {
        auto const now = clock::now();
        sums[static_cast<std::size_t>(done)] += std::chrono::duration<double>(now - last).count();
        last = now;
    }
    void keep() {
        for (std::size_t i = 0; i < sums.size(); ++i) all[i].push_back(std::exchange(sums[i], 0.0));
    }
};

void print_rates(std::string_view type, index_t threads, std::string const& test,
                 std::vector<double> const& rates) {
    double const mean =
        std::accumulate(rates.begin(), rates.end(), 0.0) / static_cast<double>(rates.size());
    std::printf("%-7s %7td %-7s %10.1f %10.1f %10.1f\n", std::string(type).c_str(), threads,
                test.c_str(), mean, median(rates), *std::max_element(rates.begin(), rates.end()));
    std::fflush(stdout);
}

template <auto Format>
class runner {
    using family_of = family::qwen2_moe_decoder<Format, layer_of<Format>>;
    using decoder = typename family_of::model;

public:
    runner(options const& chosen, std::string_view type)
        : chosen_(chosen), type_(type),
          decoder_(family_of::load(io::checkpoint(chosen.model), family::config(chosen.model))),
          logits_(static_cast<std::size_t>(decoder_.sizes().vocabulary)) {
        std::mt19937 random(1);
        index_t const count = std::max(chosen.prompt, chosen.generate);
        for (index_t i = 0; i < count; ++i)
            tokens_.push_back(static_cast<std::int32_t>(random()) & 0x7fffffff);
        for (auto& token : tokens_) token %= static_cast<std::int32_t>(decoder_.sizes().vocabulary);
    }

    void run(index_t threads) {
        thread_pool pool(threads);
        typename decoder::state sequence(decoder_);
        workspace ws;
        matrix_view<float> const logits(logits_.data(), 1, std::ssize(logits_));
        unobserved_decoder nobody;
        auto const feed = [&](index_t first, index_t count, auto& watch) {
            std::span const some(tokens_.data() + first, static_cast<std::size_t>(count));
            decoder_.forward(some, sequence, logits, ws, pool, watch);
        };
        auto const prompt = [&] { feed(0, chosen_.prompt, nobody); };
        auto const generate = [&] {
            for (index_t i = 0; i < chosen_.generate; ++i) feed(i, 1, nobody);
        };
        auto const timed = [&](char const* name, index_t count, auto const& work) {
            if (count == 0) return;
            std::vector<double> rates;
            for (index_t r = -1; r < chosen_.repeat; ++r) {
                sequence.rewind(0);
                auto const start = clock::now();
                work();
                double const spent = seconds_since(start);
                if (r >= 0) rates.push_back(static_cast<double>(count) / spent);
            }
            print_rates(type_, threads, name + std::to_string(count), rates);
        };
        timed("pp", chosen_.prompt, prompt);
        timed("tg", chosen_.generate, generate);
        if (!chosen_.parts || chosen_.generate == 0) return;
        part_times watch;
        for (index_t r = 0; r < chosen_.repeat; ++r) {
            sequence.rewind(0);
            for (index_t i = 0; i < chosen_.generate; ++i) {
                watch.last = clock::now();
                feed(i, 1, watch);
                watch.keep();
            }
        }
        for (std::size_t i = 0; i < part_times::names.size(); ++i)
            std::printf("  %-10s %8.2f us of one generated token\n", part_times::names[i],
                        1e6 * median(watch.all[i]));
        index_t bytes = 0;
        decoder_.for_each_tensor([&](auto const& t, index_t) { bytes += t.bytes(); });
        std::printf("  one core reads %.1f MB again and again at %.1f GB/s\n",
                    1e-6 * static_cast<double>(bytes), bench::read_rate(bytes, 0.1));
    }

private:
    options const& chosen_;
    std::string_view type_;
    decoder decoder_;
    std::vector<float> logits_;
    std::vector<std::int32_t> tokens_;
};

template <auto Format>
void run_type(options const& chosen, std::string_view type) {
    runner<Format> one(chosen, type);
    for (index_t const threads : chosen.threads) one.run(threads);
}

std::vector<std::string> split(std::string const& list) {
    std::vector<std::string> parts;
    for (std::size_t from = 0; from <= list.size();) {
        std::size_t const to = std::min(list.find(',', from), list.size());
        parts.push_back(list.substr(from, to - from));
        from = to + 1;
    }
    return parts;
}

index_t whole_number(std::string const& name, std::string const& text, index_t least) {
    char* end = nullptr;
    long const value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || value < least)
        throw error(name, "a whole number from " + std::to_string(least) + " on", text);
    return value;
}

options read_options(std::span<char*> words) {
    options chosen;
    for (std::size_t i = 1; i < words.size(); ++i) {
        std::string const name = words[i];
        if (name == "--parts") {
            chosen.parts = true;
            continue;
        }
        bool const known = name == "--model" || name == "--type" || name == "--threads" ||
                           name == "--prompt" || name == "--generate" || name == "--repeat";
        if (!known)
            throw error("option",
                        "--model, --type, --threads, --prompt, --generate, --repeat "
                        "or --parts",
                        name);
        if (i + 1 == words.size()) throw error(name, "a value", "none");
        std::string const value = words[++i];
        if (name == "--model") chosen.model = value;
        else if (name == "--prompt") chosen.prompt = whole_number(name, value, 0);
        else if (name == "--generate") chosen.generate = whole_number(name, value, 0);
        else if (name == "--repeat") chosen.repeat = whole_number(name, value, 1);
        else if (name == "--type") chosen.types = split(value);
        else {
            chosen.threads.clear();
            for (auto const& one : split(value))
                chosen.threads.push_back(whole_number(name, one, 1));
        }
    }
    return chosen;
}

} // namespace

int main(int count, char** words) try {
    options const chosen = read_options({words, static_cast<std::size_t>(count)});
    std::printf("%-7s %7s %-7s %10s %10s %10s\n", "weights", "threads", "test", "mean", "median",
                "best");
    for (auto const& type : chosen.types) {
        if (type == "f32") run_type<dense<float>{}>(chosen, type);
        else if (type == "bf16") run_type<dense<bf16>{}>(chosen, type);
        else if (type == "f16") run_type<dense<f16>{}>(chosen, type);
        else if (type == "q8_0")
            run_type<int8_blocks{.activations = activations::int16}>(chosen, type);
        else throw error("--type", "f32, bf16, f16 or q8_0", type);
    }
    return 0;
} catch (std::exception const& failure) {
    std::fprintf(stderr, "prytany_bench: %s\n", failure.what());
    return 1;
}
