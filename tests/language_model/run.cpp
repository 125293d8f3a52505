// SPDX-License-Identifier: MIT
// Runs examples/language_model as a user would, and compares what it reports with the reference.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "prytany/io/safetensors_writer.hpp"
#include "support/catch.hpp"

namespace fs = std::filesystem;
using nlohmann::json;
using prytany::index_t;

namespace {

fs::path const bundled = fs::path(PRYTANY_EXAMPLE_DATA) / "bytes-moe-3m";

/// A folder of its own, in which the program runs; it goes away with the object.
struct room {
    fs::path const path =
        fs::temp_directory_path() / ("language_model_" + std::to_string(getpid()));
    room() { fs::create_directories(path); }
    ~room() { fs::remove_all(path); }
    std::string read(std::string const& name) const {
        std::ifstream file(path / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void write(std::string const& name, std::string const& text) const {
        std::ofstream(path / name, std::ios::binary) << text;
    }
};

/// Every character of a word as itself.
std::string quoted(std::string const& word) {
    std::string all = "'";
    for (char const c : word) all += c == '\'' ? "'\\''" : std::string(1, c);
    return all + "'";
}

struct outcome {
    int code = 0;
    std::string printed, complaint;
};

outcome run(room const& in, std::vector<std::string> const& words) {
    std::string line = "cd " + quoted(in.path.string()) + " && " + quoted(PRYTANY_PROGRAM);
    for (auto const& word : words) line += " " + quoted(word);
    int const status = std::system((line + " >printed 2>complaint").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, in.read("printed"), in.read("complaint")};
}

json reference() { return json::parse(std::ifstream(bundled / "reference.json")); }

/// The bytes of a text whose bytes the reference keeps as code points.
std::vector<int> latin1(std::string const& text) {
    std::vector<int> bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        int const c = static_cast<unsigned char>(text[i]);
        bytes.push_back(c < 128 ? c
                                : ((c & 3) << 6) | (static_cast<unsigned char>(text[++i]) & 63));
    }
    return bytes;
}
std::string chars(std::vector<int> const& bytes) {
    std::string text;
    for (int const byte : bytes) text += static_cast<char>(byte);
    return text;
}

/// A small Qwen2-MoE checkpoint of random weights, of sizes that no form was compiled for.
void write_model(room const& in, prytany::io::element type, index_t positions = 300,
                 index_t vocabulary = 256) {
    using dims = std::vector<index_t>;
    index_t const model = 20, heads = 2, head = 6, hidden = 12, shared = 28, experts = 5,
                  layers = 2;
    in.write("config.json", json{{"model_type", "qwen2_moe"},
                                 {"hidden_act", "silu"},
                                 {"vocab_size", vocabulary},
                                 {"hidden_size", model},
                                 {"num_hidden_layers", layers},
                                 {"num_attention_heads", heads},
                                 {"num_key_value_heads", 1},
                                 {"head_dim", head},
                                 {"max_position_embeddings", positions},
                                 {"num_experts", experts},
                                 {"num_experts_per_tok", 3},
                                 {"moe_intermediate_size", hidden},
                                 {"shared_expert_intermediate_size", shared},
                                 {"tie_word_embeddings", true},
                                 {"decoder_sparse_step", 1}}
                                .dump());
    std::map<std::string, dims> tensors{{"model.embed_tokens.weight", {vocabulary, model}},
                                        {"model.norm.weight", {model}}};
    for (index_t l = 0; l < layers; ++l) {
        std::string const at = "model.layers." + std::to_string(l) + ".";
        for (auto const& name : {"input_layernorm", "post_attention_layernorm"})
            tensors[at + name + ".weight"] = dims{model};
        for (auto const& [name, rows] : {std::pair{"q", heads * head}, {"k", head}, {"v", head}}) {
            tensors[at + "self_attn." + name + "_proj.weight"] = dims{rows, model};
            tensors[at + "self_attn." + name + "_proj.bias"] = dims{rows};
        }
        tensors[at + "self_attn.o_proj.weight"] = dims{model, heads * head};
        tensors[at + "mlp.gate.weight"] = dims{experts, model};
        tensors[at + "mlp.shared_expert_gate.weight"] = dims{1, model};
        for (index_t e = 0; e <= experts; ++e) {
            bool const own = e < experts;
            std::string const expert =
                at + "mlp." + (own ? "experts." + std::to_string(e) : "shared_expert") + ".";
            index_t const wide = own ? hidden : shared;
            tensors[expert + "gate_proj.weight"] = tensors[expert + "up_proj.weight"] =
                dims{wide, model};
            tensors[expert + "down_proj.weight"] = dims{model, wide};
        }
    }
    prytany::io::safetensors_writer out((in.path / "model.safetensors").string());
    for (auto const& [name, sizes] : tensors) out.declare(name, type, sizes);
    std::mt19937 random(7);
    for (auto const& [name, sizes] : tensors) {
        index_t count = 1;
        for (index_t const size : sizes) count *= size;
        std::vector<float> values(static_cast<std::size_t>(count));
        for (float& value : values)
            value = (static_cast<float>(random() % 2001) / 1000.0f - 1.0f) * 0.4f;
        out.write(name, values);
    }
    out.commit();
}

} // namespace

TEST_CASE("without options it scores the bundled texts as the reference does", "[language_model]") {
    room const here;
    outcome const made = run(here, {"--report", "r.json"});
    INFO(made.complaint);
    REQUIRE(made.code == 0);
    CHECK(made.complaint.empty());
    CHECK(made.printed.find('\033') == std::string::npos); // no colours outside a terminal
    for (auto const* const part : {"bf16", "threads", "tokens per second", "english.txt", "GB/s",
                                   "expert_load.svg", "experts"})
        CHECK(made.printed.find(part) != std::string::npos);

    json const got = json::parse(here.read("r.json")), wanted = reference();
    CHECK(got["bits_per_byte"].size() == 5);
    for (auto const* const name : {"english", "swahili", "estonian", "python", "sums"}) {
        std::string const file = std::string(name) + ".txt";
        CAPTURE(name);
        double const bits = wanted["bits_per_byte"][name];
        CHECK(std::abs(got["bits_per_byte"][file].get<double>() / bits - 1) <= 1e-5);
        CHECK(got["reference_bits_per_byte"][file] == bits);
        auto const& load = got["expert_load"][file];
        auto const& expected = wanted["expert_load"][name];
        REQUIRE(load.size() == expected.size());
        double apart = 0; // all differences
        for (std::size_t l = 0; l < load.size(); ++l) {
            double sum = 0;
            REQUIRE(load[l].size() == expected[l].size());
            for (std::size_t e = 0; e < load[l].size(); ++e) {
                double const share = load[l][e];
                apart += std::abs(share - expected[l][e].get<double>());
                sum += share;
            }
            CHECK(sum == Approx(1).margin(1e-12));
        }
        // Of 245,760 choices of a text, two logits may be so near that rounding decides: one slot.
        CHECK(apart <= 2.0 / 40960 + 16 * 6 * 6e-9);
    }
    CHECK(got["tokens_per_second"]["prompt"] > 0);
    CHECK(got["tokens_per_second"]["generation"] > 0);
    CHECK(got["weight_type"] == "bf16");
    CHECK(got["threads"] >= 1);
    CHECK(got["model"]["parameters"] == 3030912);
    CHECK(got["model"]["compiled_sizes"] == true);
    CHECK(got["memory"]["pass_seconds"] > 0);
    CHECK(got["step_seconds"].size() == 6);
    CHECK(got["text"].get<std::string>().size() == got["text_bytes"].size());

    std::string const picture = here.read("expert_load.svg");
    CHECK(picture.starts_with("<svg"));
    CHECK(picture.ends_with("</svg>\n"));
    CHECK(picture.find("swahili.txt") != std::string::npos);
}

TEST_CASE("greedy text is the reference's, byte for byte", "[language_model]") {
    room const here;
    here.write("short.txt", std::string(256, 'a'));
    for (auto const& prompt : reference()["prompts"]) {
        outcome const made =
            run(here, {"--prompt", chars(latin1(prompt["prompt"])), "--tokens", "64", "--score",
                       "short.txt", "--report", "r.json", "--threads", "1"});
        INFO(made.complaint);
        REQUIRE(made.code == 0);
        json const got = json::parse(here.read("r.json"));
        CHECK(got["text_bytes"].get<std::vector<int>>() == latin1(prompt["greedy"]));
        CHECK(got["bits_per_byte"].size() == 1);
        CHECK(got["expert_load"].contains("short.txt"));
    }
}

TEST_CASE("a trace has every slot of every byte", "[language_model]") {
    room const here;
    here.write("short.txt", std::string(300, 'b'));
    auto const traced = [&](std::string const& seed, std::string const& threads) {
        outcome const made =
            run(here, {"--prompt", "12+34=", "--tokens", "10", "--temperature", "0.8", "--seed",
                       seed, "--threads", threads, "--score", "short.txt", "--trace", "t.csv"});
        INFO(made.complaint);
        REQUIRE(made.code == 0);
        return here.read("t.csv");
    };
    std::string const first = traced("1", "1");
    CHECK(traced("1", "2") == first); // neither runs nor threads change a bit
    CHECK(traced("2", "1") != first);

    std::istringstream lines(first);
    std::string line;
    std::getline(lines, line);
    CHECK(line == "token,layer,expert,weight,byte");
    std::map<std::pair<int, int>, double> sums;
    std::map<std::pair<int, int>, std::set<int>> experts;
    std::map<int, int> bytes;
    int rows = 0;
    for (; std::getline(lines, line); ++rows) {
        int token = 0, layer = 0, expert = 0, byte = 0;
        double weight = 0;
        REQUIRE(std::sscanf(line.c_str(), "%d,%d,%d,%lf,%d", &token, &layer, &expert, &weight,
                            &byte) == 5);
        sums[{token, layer}] += weight;
        experts[{token, layer}].insert(expert);
        bytes[token] = byte;
    }
    CHECK(rows == (6 + 10) * 6 * 4);
    CHECK(bytes.size() == 16);
    CHECK(bytes[0] == '1');
    CHECK(bytes[5] == '=');
    for (auto const& [place, sum] : sums) CHECK(sum == Approx(1).margin(1e-5));
    for (auto const& [place, set] : experts) {
        CHECK(set.size() == 4);
        CHECK(*set.rbegin() < 16);
    }
}

TEST_CASE("models of other sizes and types run", "[language_model]") {
    room const here;
    here.write("short.txt", std::string(600, 'c'));
    using prytany::io::element;
    for (auto const& [type, name] :
         {std::pair{element::f32, "f32"}, {element::f16, "f16"}, {element::bf16, "bf16"}}) {
        write_model(here, type);
        outcome const made = run(here, {"--model", ".", "--tokens", "200", "--score", "short.txt",
                                        "--report", "r.json"});
        INFO(made.complaint);
        REQUIRE(made.code == 0);
        json const got = json::parse(here.read("r.json"));
        CHECK(got["weight_type"] == name);
        CHECK(got["model"]["compiled_sizes"] == false);
        CHECK(got["model"]["experts_per_token"] == 3);
        CHECK(got["expert_load"]["short.txt"].size() == 2);
        CHECK(got["expert_load"]["short.txt"][0].size() == 5);
        CHECK(got["text_bytes"].size() == 200);
    }
    write_model(here, prytany::io::element::f32, 64);
    outcome const brief = run(here, {"--model", ".", "--tokens", "40"});
    CHECK(brief.code == 0);
    CHECK(brief.printed.find("left out: a window takes 256 positions") != std::string::npos);
    CHECK(run(here, {"--model", ".", "--tokens", "40", "--score", "short.txt"}).code == 1);
}

TEST_CASE("wrong use ends with 1 and one sentence", "[language_model]") {
    room const here;
    auto const refused = [&](std::vector<std::string> const& words, std::string const& part) {
        outcome const made = run(here, words);
        CAPTURE(words, made.complaint);
        CHECK(made.code == 1);
        CHECK(made.complaint.find(part) != std::string::npos);
        CHECK(made.complaint.starts_with("language_model: "));
        CHECK(std::count(made.complaint.begin(), made.complaint.end(), '\n') == 1);
        CHECK(made.complaint.ends_with("\n"));
    };
    refused({"--model", "nowhere"}, "expected a folder");
    refused({"--model", "/dev/null"}, "expected a folder");
    refused({"--model", "."}, "config.json");
    refused({"--tokens", "0"}, "--tokens: expected at least 1, got 0");
    refused({"--tokens", "-3"}, "--tokens: expected at least 1, got -3");
    refused({"--tokens", "many"}, "many");
    refused({"--tokens", "1020"}, "--tokens: expected at most 1010");
    refused({"--temperature", "-0.5"}, "--temperature: expected 0 or more");
    refused({"--temperature", "nan"}, "--temperature: expected 0 or more");
    refused({"--threads", "0"}, "--threads: expected 1 to 1024, got 0");
    refused({"--prompt", ""}, "--prompt: expected at least one byte");
    refused({"--prompt", std::string(1024, 'x')}, "fewer bytes than the model's 1024 positions");
    refused({"--score", "missing.txt"}, "missing.txt: expected a file that can be read");
    refused({"--score", "."}, "got a folder");
    here.write("short.txt", std::string(255, 'd'));
    refused({"--score", "short.txt"}, "expected at least one window of 256 bytes, got 255");
    refused({"--trace", "no/such/folder.csv"}, "a file that can be written");
    refused({"--report", "no/such/folder.json"}, "a file that can be written");
    refused({"--unknown"}, "--unknown");
    refused({"word"}, "word");

    write_model(here, prytany::io::element::f32, 300, 300);
    refused({"--model", "."}, "without a tokenizer only byte models can be run, got 300");
    write_model(here, prytany::io::element::f32);
    fs::resize_file(here.path / "model.safetensors", 5000);
    refused({"--model", "."}, "model.safetensors");
    fs::remove(here.path / "model.safetensors");
    refused({"--model", "."}, "model.safetensors");

    outcome const help = run(here, {"--help"});
    CHECK(help.code == 0);
    CHECK(help.complaint.empty());
    for (auto const* const option : {"--model", "--prompt", "--tokens", "--temperature", "--seed",
                                     "--threads", "--score", "--trace", "--report"})
        CHECK(help.printed.find(option) != std::string::npos);
}
