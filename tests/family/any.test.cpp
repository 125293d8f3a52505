// SPDX-License-Identifier: MIT
// Every block that transformers ran, its family found from config.json.
#include "prytany/family/any.hpp"

#include "family/golden.hpp"
#include "prytany/io/checkpoint.hpp"

using namespace prytany;
using golden::json;

TEST_CASE("any: every golden folder agrees with transformers") {
    index_t folders = 0;
    double weights = 0, nmse = 0;
    for (auto const& entry : std::filesystem::directory_iterator(PRYTANY_TEST_DATA)) {
        if (!entry.is_directory()) continue;
        ++folders;
        golden::folder const one(entry.path().filename().string());
        auto const far = golden::agrees(one, family::load(one.source, one.config, one.layer));
        weights = std::max(weights, far.weights);
        nmse = std::max(nmse, far.nmse);
    }
    CHECK(folders >= 12);
    WARN(folders << " golden blocks: weights off by " << weights << " at most, NMSE " << nmse);
}

TEST_CASE("any: model_type chooses the family, families of one form share a layer") {
    auto const which = [](char const* name) {
        golden::folder const one(name);
        return family::load(one.source, one.config, one.layer).which();
    };
    CHECK(which("mixtral") == 0);
    CHECK(which("qwen3_moe") == 0);
    CHECK(which("olmoe") == 0);
    CHECK(which("qwen2_moe") == 1);
    CHECK(which("deepseek_v2") == 2);
    CHECK(which("deepseek_v3") == 3);
    CHECK(which("gpt_oss_mxfp4") == 4);
}

TEST_CASE("any: a model that is not known, or of another kind than it says") {
    std::string const known = "mixtral, qwen2_moe, qwen3_moe, olmoe, deepseek, deepseek_v2, "
                              "deepseek_v3, gpt_oss";
    auto const visit = [](json const& values) {
        return files::message([&] { family::visit(family::config(values, "c"), [](auto) {}); });
    };
    CHECK(visit({{"model_type", "llama\x1b"}}) ==
          "c: model_type: expected one of " + known + ", got \"llama\\x1b\"");
    CHECK(visit(json::object()) == "c: model_type: expected a text, got nothing");
    CHECK(visit({{"model_type", 7}}) == "c: model_type: expected a text, got 7");
    CHECK(visit({{"model_type", "deepseek"}}).empty());

    golden::folder const one("qwen2_moe");
    CHECK(files::message([&] {
              (void)family::load(one.source, one.config, one.layer + 1);
          }).find("missing model.layers.2.mlp.gate.weight for router.weight [12, 64]") !=
          std::string::npos);
    json values = json::parse(files::read((one.path / "config.json").string()));
    values["model_type"] = "qwen3_moe"; // which has no shared expert
    auto const said = files::message(
        [&] { (void)family::load(one.source, family::config(values, "c"), one.layer); });
    CHECK(said.find("left over \"model.layers.1.mlp.shared_expert.down_proj.weight\"") !=
          said.npos);
    values["model_type"] = "qwen2_moe";
    values["num_experts"] = 13;
    CHECK(files::message([&] {
              (void)family::load(one.source, family::config(values, "c"), one.layer);
          }).find("model.layers.1.mlp.gate.weight: expected [13, 64], got F32 [12, 64]") !=
          std::string::npos);
}
