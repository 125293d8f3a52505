// SPDX-License-Identifier: MIT
// A head with its cache in guarded memory, and the rows that attend to it.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "prytany/kernel/attention.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

namespace held {

using namespace prytany;

inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

inline std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
inline index_t filled(index_t n) { return (n + lanes - 1) / lanes * lanes; }

/// A head with its cache in memory that ends at forbidden pages. What was never put is NaN.
struct head_test {
    index_t size, positions;
    twin::matrix keys, values, queries;
    std::unique_ptr<twin::guarded<float>> key_memory, value_memory;
    kernel::cached_head head;
    std::vector<float> weights; ///< of the queries; empty: 1
    float scale = 1.0f / std::sqrt(static_cast<float>(size));

    head_test(index_t head_size, index_t position_count, index_t query_count, double deviation = 1)
        : head_test(twin::normal(at(position_count), at(head_size), 1, deviation),
                    twin::normal(at(position_count), at(head_size), 2, 1.0),
                    twin::normal(at(query_count), at(head_size), 3, deviation)) {}
    head_test(twin::matrix k, twin::matrix v, twin::matrix q)
        : size(static_cast<index_t>(k.cols)), positions(static_cast<index_t>(k.rows)),
          keys(std::move(k)), values(std::move(v)), queries(std::move(q)),
          key_memory(memory(filled(positions) * size)),
          value_memory(memory(positions * filled(size))), head{key_memory->data(),
                                                               value_memory->data(), size,
                                                               filled(size)} {
        for (index_t s = positions; s-- > 0;) { // in any order
            auto const key = twin::floats(keys.row_of(at(s)));
            head.put(s, key.data(), twin::floats(values.row_of(at(s))).data());
        }
    }

    static std::unique_ptr<twin::guarded<float>> memory(index_t count) {
        return std::make_unique<twin::guarded<float>>(count, twin::edge::back, not_a_number);
    }
    /// The outputs of queries first … first + seen.size() - 1; all memory of the call is guarded.
    std::vector<float> attend(index_t first, std::vector<index_t> const& seen) const {
        auto const count = static_cast<index_t>(seen.size());
        twin::guarded<float> in(count * size), out(count * size, twin::edge::back, not_a_number);
        std::vector<kernel::query_row> rows;
        for (index_t r = 0; r < count; ++r) {
            for (index_t c = 0; c < size; ++c)
                in[r * size + c] = static_cast<float>(queries(at(first + r), at(c)));
            rows.push_back({in.data() + r * size, out.data() + r * size, seen[at(r)]});
            if (!weights.empty()) rows.back().weight = weights[at(first + r)];
        }
        twin::guarded<float> scratch(kernel::attend_scratch(size), twin::edge::back, not_a_number);
        kernel::attend(rows.data(), count, head, scale, scratch.data());
        return out.all();
    }
    /// The largest error of any one row.
    double worst(index_t first, std::vector<index_t> const& seen) const {
        auto const got = attend(first, seen);
        double most = 0;
        for (std::size_t r = 0; r < seen.size(); ++r) {
            auto const from = got.begin() + static_cast<std::ptrdiff_t>(r) * size;
            most = std::max(most, twin::nmse(std::vector<float>(from, from + size),
                                             exact(first + static_cast<index_t>(r), {seen[r]})));
        }
        return most;
    }
    twin::row exact(index_t first, std::vector<index_t> const& seen) const {
        twin::row all;
        for (std::size_t r = 0; r < seen.size(); ++r) {
            auto one = twin::attention(queries.row_of(at(first) + r), keys, values, at(seen[r]),
                                       static_cast<double>(scale));
            for (double& x : one)
                x *= weights.empty() ? 1.0 : static_cast<double>(weights[at(first) + r]);
            all.insert(all.end(), one.begin(), one.end());
        }
        return all;
    }
};

inline std::vector<index_t> causal(index_t first, index_t count) {
    std::vector<index_t> seen(at(count));
    std::iota(seen.begin(), seen.end(), first + 1);
    return seen;
}

} // namespace held
