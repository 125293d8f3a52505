// SPDX-License-Identifier: MIT
// Whether the library computes what another program computed: docs/parity.md says how to ask.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prytany/family/any.hpp>
#include <prytany/io/checkpoint.hpp>
#include <prytany/io/safetensors.hpp>
#include <prytany/prytany.hpp>

using namespace prytany;

namespace {

constexpr double most_weight = 2e-6; // relative above 1
constexpr double most_double = 1e-12, most_float = 1e-10;

/// What expected.safetensors says: rows of numbers, exact in double.
struct table {
    index_t rows = 0, cols = 0;
    std::vector<double> numbers;
    double at(index_t r, index_t c) const {
        return numbers[static_cast<std::size_t>(r * cols + c)];
    }
};

std::optional<table> find(io::safetensors const& file, char const* name) {
    io::stored const* const from = file.find(name);
    if (from == nullptr) return {};
    if (from->dims.size() != 2)
        throw error(file.where() + ": " + name, "two dimensions", from->text());
    table to{from->dims[0], from->dims[1],
             std::vector<double>(static_cast<std::size_t>(from->count()))};
    std::vector<std::byte> bytes(static_cast<std::size_t>(from->bytes));
    file.read_bytes(*from, 0, bytes);
    bool const known = io::with_number(from->type, [&]<class Number>(Number number) {
        for (std::size_t i = 0; i < to.numbers.size(); ++i) {
            std::memcpy(&number, bytes.data() + i * sizeof(Number), sizeof(Number));
            if constexpr (std::is_arithmetic_v<Number>) to.numbers[i] = static_cast<double>(number);
            else to.numbers[i] = double{static_cast<float>(number)};
        }
    });
    if (!known) throw error(file.where() + ": " + name, "numbers", from->text());
    return to;
}
table need(io::safetensors const& file, char const* name, index_t rows, index_t cols) {
    auto found = find(file, name);
    if (!found) throw error(file.where() + ": " + name, "a tensor", "none");
    if ((rows >= 0 && found->rows != rows) || (cols >= 0 && found->cols != cols))
        throw error(file.where() + ": " + name, dims_text(rows, cols),
                    dims_text(found->rows, found->cols));
    return std::move(*found);
}

/// The number of the layer whose block the tensors are: "model.layers.3.mlp.…" is of layer 3.
index_t layer_of(io::checkpoint const& source) {
    for (io::stored const& s : source.tensors()) {
        std::string_view const name = s.name, before = "model.layers.";
        if (!name.starts_with(before)) continue;
        index_t number = 0;
        char const* const end = name.data() + name.size();
        auto const [rest, fault] = std::from_chars(name.data() + before.size(), end, number);
        std::string_view const after(rest, static_cast<std::size_t>(end - rest));
        if (fault == std::errc{} &&
            (after.starts_with(".mlp.") || after.starts_with(".block_sparse_moe.")))
            return number;
    }
    throw error(source.where(),
                "tensors named model.layers.N.mlp.… or model.layers.N.block_sparse_moe.…",
                source.tensors().empty() ? "none" : io::printable(source.tensors()[0].name));
}

/// What one folder showed.
struct figures {
    std::string family, ids = "equal";
    double weights = 0, output = 0;
    bool in_double = false, well = false;
};

std::string list(std::vector<index_t> const& ids) {
    std::string all;
    for (index_t const i : ids) all.append(all.empty() ? "" : " ").append(std::to_string(i));
    return all;
}

std::string scientific(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1e", x);
    return text;
}

figures compare(std::string const& folder) {
    family::config const numbers{folder};
    figures seen{.family = numbers.text("model_type")};
    io::checkpoint const source{folder};
    auto const layer = family::load(source, numbers, layer_of(source)); // in float32
    shape const size = layer.sizes();

    io::safetensors const expected{folder + "/expected.safetensors"};
    io::stored const* const rows = expected.find("input");
    table const input = need(expected, "input", -1, size.model);
    if (input.rows == 0) throw error(expected.where() + ": input", "at least one token", "none");
    table const ids = need(expected, "ids", input.rows, -1);
    for (double const id : ids.numbers)
        if (!(id >= 0 && id < static_cast<double>(size.experts)))
            throw error(expected.where() + ": ids",
                        "experts from 0 to " + std::to_string(size.experts - 1),
                        std::to_string(id));
    table const weights = need(expected, "weights", ids.rows, ids.cols);
    seen.in_double = expected.find("output_f64") != nullptr;
    table const output =
        need(expected, seen.in_double ? "output_f64" : "output", input.rows, size.model);

    std::optional<table> logits;
    if (expected.find("router_logits") != nullptr)
        logits = need(expected, "router_logits", input.rows, size.experts);
    double off_logits = 0;
    std::vector<float> x(static_cast<std::size_t>(rows->count())), y(x.size());
    expected.read(*rows, 0, x);
    workspace ws;
    layer.forward(matrix_view<float const>(x.data(), input.rows, size.model),
                  matrix_view<float>(y.data(), input.rows, size.model), ws, thread_pool{},
                  [&](routing const& r) {
                      for (index_t t = 0; logits && t < logits->rows; ++t)
                          for (index_t e = 0; e < logits->cols; ++e)
                              off_logits =
                                  std::max(off_logits,
                                           std::abs(double{r.logits.row(t)[e]} - logits->at(t, e)));
                  });

    std::vector<index_t> got, want;
    for (index_t t = 0; t < input.rows && seen.ids == "equal"; ++t) {
        std::vector<slot> mine(ws.plan().slots_of(t).begin(), ws.plan().slots_of(t).end());
        std::sort(mine.begin(), mine.end(), [](slot a, slot b) { return a.expert < b.expert; });
        std::vector<std::pair<index_t, double>> theirs;
        for (index_t j = 0; j < ids.cols; ++j)
            theirs.emplace_back(static_cast<index_t>(ids.at(t, j)), weights.at(t, j));
        std::sort(theirs.begin(), theirs.end());
        got.clear();
        want.clear();
        for (slot const s : mine) got.push_back(s.expert);
        for (auto const& [id, weight] : theirs) want.push_back(id);
        if (got != want) {
            seen.ids =
                "token " + std::to_string(t) + ": expected " + list(want) + ", got " + list(got);
            if (logits) seen.ids += "; the router's logits differ by " + scientific(off_logits);
            break;
        }
        for (std::size_t j = 0; j < mine.size(); ++j) {
            double const w = theirs[j].second;
            double const off = std::abs(double{mine[j].weight} - w) / std::max(1.0, std::abs(w));
            seen.weights = off <= seen.weights ? seen.weights : off; // a NaN stays
        }
    }
    double wrong = 0, all = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        double const d = double{y[i]} - output.numbers[i];
        wrong += d * d;
        all += output.numbers[i] * output.numbers[i];
    }
    seen.output = wrong == 0 ? 0 : wrong / all;
    seen.well = seen.ids == "equal" && seen.weights <= most_weight &&
                seen.output <= (seen.in_double ? most_double : most_float);
    return seen;
}

constexpr char usage[] =
    "usage: parity FOLDER...\n"
    "Runs the Mixture-of-Experts block of each folder in float32 and compares it with what "
    "another\n"
    "program computed. A folder has config.json, model.safetensors and expected.safetensors\n"
    "(input, ids, weights, and output or output_f64); docs/parity.md says how to write one.\n"
    "Exit code 0: all agree; 1: one falls short; 2: wrong use.\n";

} // namespace

int main(int count, char** words) {
    std::vector<std::string> folders(words + 1, words + count);
    bool const help = !folders.empty() && (folders[0] == "--help" || folders[0] == "-h");
    if (folders.empty() || folders[0].starts_with('-')) {
        std::fputs(usage, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    int width = 6;
    for (std::string& f : folders) {
        while (f.size() > 1 && f.back() == '/') f.pop_back();
        width = std::max(width, static_cast<int>(f.size()));
    }
    int well = 0;
    std::printf("%-*s  %-11s  %-5s  %-7s  %s\n", width, "folder", "family", "ids", "weights",
                "output (NMSE)");
    for (std::string const& f : folders) {
        try {
            figures const seen = compare(f);
            well += seen.well;
            std::printf("%-*s  %-11s  %-5s  ", width, f.c_str(), seen.family.c_str(),
                        seen.ids == "equal" ? "equal" : "other");
            std::printf("%.1e  %.1e %-6s  ", seen.weights, seen.output,
                        seen.in_double ? "double" : "float");
            if (seen.well) std::printf("ok\n");
            else if (seen.ids != "equal") std::printf("ids of %s\n", seen.ids.c_str());
            else if (!(seen.weights <= most_weight))
                std::printf("weights: expected at most %.0e, got %.1e\n", most_weight,
                            seen.weights);
            else
                std::printf("output: expected NMSE of at most %.0e, got %.1e\n",
                            seen.in_double ? most_double : most_float, seen.output);
        } catch (std::exception const& e) {
            std::printf("%-*s  %s\n", width, f.c_str(), e.what());
        }
        std::fflush(stdout);
    }
    std::printf("%d of %zu agree\n", well, folders.size());
    return well == static_cast<int>(folders.size()) ? 0 : 1;
}
