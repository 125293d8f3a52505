// SPDX-License-Identifier: MIT
// Experts by vocabulary entry, not by what a token holds.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Sends every vocabulary entry to one fixed expert, at weight 1.
///
///     e = table[id mod vocabulary],   without a table: e = π(id mod vocabulary) mod experts
///
/// π is a permutation of 0 … vocabulary - 1 drawn from the seed, so the numbers of entries of two
/// experts differ by one at most. An id outside the vocabulary counts modulo it, negative ones too.
/// Source    Roller et al. 2021 (Hash Layers), arXiv:2106.04426
/// Models    router_policy
/// Writes    one slot a token
/// Cost      O(1) a token, and no table to keep; no allocation
/// Compile   –        Run   vocabulary, seed, table (the caller's, kept alive)
/// Throws    error at construction: no vocabulary, an entry that is no expert; in a call: no ids
/// Test      tests/router/hash_table.test.cpp
struct hash_table {
    struct params {
        index_t vocabulary = dynamic;
        std::uint64_t seed = 0;
        std::span<std::int32_t const> table{}; ///< one expert for each entry
    };
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {.unit_sum = true}; }
    void check(shape const& size, params const& own) const {
        auto const text = [](index_t n) { return std::to_string(n); };
        auto const given = static_cast<index_t>(own.table.size());
        if (given > 0 && own.vocabulary != dynamic && own.vocabulary != given)
            throw error("hash_table.vocabulary", text(given) + ", the size of the table",
                        text(own.vocabulary));
        if (given == 0 && (own.vocabulary < 1 || own.vocabulary > most))
            throw error("hash_table.vocabulary", "1 to " + text(most),
                        own.vocabulary == dynamic ? "none" : text(own.vocabulary));
        for (std::size_t i = 0; i < own.table.size(); ++i)
            if (own.table[i] < 0 || own.table[i] >= size.experts)
                throw error("hash_table.table[" + std::to_string(i) + "]",
                            "0 to " + text(size.experts - 1), std::to_string(own.table[i]));
    }
    void require(input const& in) const {
        if (static_cast<index_t>(in.ids.size()) != in.tokens())
            throw error("input.ids (hash_table)", std::to_string(in.tokens()) + ", one a token",
                        std::to_string(in.ids.size()));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        auto const& table = own.params.table;
        index_t const vocabulary =
            table.empty() ? own.params.vocabulary : static_cast<index_t>(table.size());
        for (index_t t = 0; t < in.tokens(); ++t) {
            index_t entry = in.ids[static_cast<std::size_t>(t)] % vocabulary;
            if (entry < 0) entry += vocabulary;
            out.put(t,
                    table.empty() ? shuffled(entry, vocabulary, own.params.seed) % out.experts()
                                  : table[static_cast<std::size_t>(entry)],
                    1.0f);
        }
    }

private:
    static constexpr index_t most = index_t{1} << 31; // of the ids that 32 bits hold

    /// A permutation of 0 … count - 1: four Feistel rounds on the next power of four, repeated
    /// until they end below `count`.
    static constexpr index_t shuffled(index_t place, index_t count, std::uint64_t seed) noexcept {
        auto const bits = std::bit_width(static_cast<std::uint64_t>(count - 1));
        int const half = (static_cast<int>(bits) + 1) / 2;
        std::uint32_t const mask = (std::uint32_t{1} << half) - 1;
        std::array<std::uint32_t, 2> const key{static_cast<std::uint32_t>(seed),
                                               static_cast<std::uint32_t>(seed >> 32)};
        auto all = static_cast<std::uint64_t>(place);
        do {
            auto left = static_cast<std::uint32_t>(all >> half);
            auto right = static_cast<std::uint32_t>(all) & mask;
            for (std::uint32_t round = 0; round < 4; ++round) {
                std::uint32_t const mixed = left ^ (philox({right, round, 0, 0}, key)[0] & mask);
                left = right;
                right = mixed;
            }
            all = std::uint64_t{left} << half | right;
        } while (all >= static_cast<std::uint64_t>(count));
        return static_cast<index_t>(all);
    }
};

} // namespace prytany::inline PRYTANY_ABI
