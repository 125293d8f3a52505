// SPDX-License-Identifier: MIT
// Whether the table of walks in kernel/loops.hpp holds on this machine: every candidate beside the
// table's choice, for each format and number of rows.
//
//     loops/<format>/K2048_N1536/T:<rows>/<candidate>
//
// A candidate is p<panels of a tile>_s<panels side by side>_i<inputs of a turn>_a<bytes ahead>.
// Up to 32 rows: more of them walk as 32 do. All give the same bits.
#include "kernel/product.hpp"
#include "prytany/kernel/gemm.hpp"
#include "support/formats.hpp"

namespace {

using namespace bench;

constexpr matrix_size size{2048, 1536};

/// Weights beyond every cache, on huge pages through `buffer`; all matrices have the same numbers.
template <auto Format>
std::shared_ptr<std::vector<packed<Format>>> cold(std::string const& format) {
    return in_memory().get<std::vector<packed<Format>>>("loops/" + format, rotation_bytes, [&] {
        auto const plain = weights(1, size.outputs, size.inputs, is_ternary(format));
        matrix_size of = size;
        benchmark::DoNotOptimize(of); // g++ 12 warns of loops over rows of a known length
        packed<Format> one(of.outputs, of.inputs);
        for (index_t r = 0; r < of.outputs; ++r)
            one.pack(r, {plain.data() + r * of.inputs, static_cast<std::size_t>(of.inputs)});
        auto const count =
            static_cast<std::size_t>(rotation_bytes / static_cast<double>(one.bytes())) + 1;
        return std::make_shared<std::vector<packed<Format>>>(count, one);
    });
}

template <auto Format>
void run_loop(benchmark::State& state, std::string const& format, bound unit,
              kernel::loop const& how, index_t rows) {
    auto const held = cold<Format>(format);
    thread_pool alone(1);
    pinned const own_core(alone, chosen().pin);
    buffer<float> x(rows * size.inputs), y(rows * size.outputs);
    noise random(7);
    for (index_t i = 0; i < x.size(); ++i) x[i] = random();
    buffer<kernel::input_of<Format>> rounded(rows * kernel::read_stride<Format>(size.inputs));
    auto const read = kernel::as_read<Format>({x.data(), size.inputs, nullptr}, rows, size.inputs,
                                              rounded.data());
    auto const sink = [&](index_t row, index_t panel, simd::float_pair sum) {
        simd::store_pair(y.data() + row * size.outputs + panel * panel_lanes, sum, panel_lanes);
    };
    double const t = static_cast<double>(rows);
    std::size_t next = 0;
    time_calls(state,
               {t, 2 * t * size.weights(), static_cast<double>(held->front().bytes()), unit, 1},
               [&] {
                   auto const& w = (*held)[next];
                   kernel::detail::multiply_as<Format>(how, read, 0, rows, w, 0, w.panels(), sink);
                   benchmark::DoNotOptimize(y.data());
                   next = next + 1 == held->size() ? 0 : next + 1;
               });
}

/// The walks that are worth a try: tiles and streams, then turns, then how far ahead.
template <auto Format>
std::vector<kernel::loop> candidates(index_t rows) {
    constexpr index_t most = kernel::detail::micro_kernel<Format>::most_rows,
                      unit = kernel::detail::micro_kernel<Format>::unit;
    struct streams {
        index_t rows, panels, together;
    };
    std::vector<streams> shapes{{most, 1, 1}, {most, 1, 2}, {most, 1, 4}};
    if (rows <= kernel::detail::most_rows<Format>(2))
        shapes.insert(shapes.end(), {{rows, 2, 2}, {rows, 2, 4}});
    if (rows == 1) shapes.insert(shapes.end(), {{1, 4, 4}, {1, 4, 8}});
    std::vector<kernel::loop> all;
    for (auto const& s : shapes)
        for (index_t const inputs : {64, 128, 256, 512, 1024})
            for (index_t const ahead : {1024, 4096, 16384}) // more panels do not ask
                if (inputs % unit == 0 && (s.panels == 1 || ahead == 1024))
                    all.push_back({s.rows, s.panels, s.together, inputs, ahead});
    return all;
}

int const added = add_later([] {
    std::vector<index_t> tokens = chosen().tokens;
    if (tokens.empty()) tokens = {1, 2, 3, 4, 8, 16, 32};
    for_each_format([&]<auto Format>(char const* label, bound unit) {
        std::string const format = label;
        for (index_t const rows : tokens) {
            if (rows > 32) continue; // sums of more rows and panels side by side have no room
            auto const add = [&](std::string const& candidate, kernel::loop const& how) {
                std::string const name = joined({"loops/", format, "/", size.name(),
                                                 "/T:", std::to_string(rows), "/", candidate});
                benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
                    run_loop<Format>(state, format, unit, how, rows);
                })->Unit(benchmark::kMicrosecond);
            };
            add("table", kernel::loop_of<Format>(rows));
            for (auto const& how : candidates<Format>(rows))
                add(joined({"p", std::to_string(how.panels), "_s", std::to_string(how.together),
                            "_i", std::to_string(how.inputs), "_a", std::to_string(how.ahead)}),
                    how);
        }
    });
});

} // namespace
