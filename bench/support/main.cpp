// SPDX-License-Identifier: MIT
// The main function of all programs: reads the command line, measures the limits, runs.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "support/session.hpp"

namespace {

using namespace bench;

std::vector<index_t> numbers(std::string_view list) {
    std::vector<index_t> all;
    for (std::size_t from = 0; from < list.size();) {
        std::size_t const to = std::min(list.find(',', from), list.size());
        index_t const one = std::atol(std::string(list.substr(from, to - from)).c_str());
        if (one > 0) all.push_back(one);
        from = to + 1;
    }
    return all;
}
/// Bytes that a new process could take.
double free_memory() {
    std::ifstream file("/proc/meminfo");
    std::string word;
    while (file >> word)
        if (double kilobytes = 0; word == "MemAvailable:" && file >> kilobytes)
            return 1024 * kilobytes;
    return 8e9;
}
/// Takes our options out of the words that Google Benchmark left.
void read_own(int& count, char** words) {
    auto& own = chosen();
    index_t const cores = thread_pool::cores();
    own.threads = cores > 1 ? std::vector<index_t>{1, cores} : std::vector<index_t>{1};
    int kept = 1;
    for (int i = 1; i < count; ++i) {
        std::string_view const word = words[i];
        auto const value = word.substr(std::min(word.find('=') + 1, word.size()));
        if (word.starts_with("--tokens=")) own.tokens = numbers(value);
        else if (word.starts_with("--threads=")) own.threads = numbers(value);
        else if (word.starts_with("--gigabytes="))
            own.memory = 1e9 * std::atof(std::string(value).c_str());
        else if (word.starts_with("--pin=")) own.pin = value != "off";
        else words[kept++] = words[i];
    }
    count = kept;
    own.memory = std::min(own.memory, free_memory() - 2e9);
}
void add_context(limits const& most, std::string const& suffix) {
    auto const add = [&](char const* name, double value) {
        if (value <= 0) return;
        char text[32];
        std::snprintf(text, sizeof text, "%.1f", value);
        benchmark::AddCustomContext(name + suffix, text);
    };
    add("fma_gflops", most.fma_gflops);
    add("madd_gops", most.madd_gops);
    add("maddubs_gops", most.maddubs_gops);
    add("dram_gbytes", most.dram_gbytes);
}

} // namespace

int main(int argc, char** argv) {
    bool const lists = std::any_of(argv, argv + argc, [](std::string_view word) {
        return word == "--benchmark_list_tests" || word == "--benchmark_list_tests=true";
    });
    benchmark::Initialize(&argc, argv);
    read_own(argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    for (auto const add : registrations()) add();
    if (!registrations().empty() && !lists) {
        auto& own = chosen();
        own.meters[1] = nullptr;
        for (index_t const threads : own.threads) own.meters[threads] = nullptr;
        index_t const most = own.meters.rbegin()->first;
        for (auto& [threads, one] : own.meters) {
            one = std::make_unique<meter>(threads, own.pin);
            auto const found = one->best();
            if (threads == most) add_context(found, "");
            if (threads == 1) add_context(found, "_1");
        }
        benchmark::AddCustomContext("limits_of_threads", std::to_string(most));
        benchmark::AddCustomContext("pinned", own.pin ? "yes" : "no");
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
