// SPDX-License-Identifier: MIT
// A new file is whole or absent, whatever the system does.
#include "support/catch.hpp"

#include <memory>

#include "io/files.hpp"
#include "prytany/io/new_file.hpp"

using namespace prytany;
using files::message;

namespace {

std::span<std::byte const> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

enum class outcome { whole, interrupted, one_byte, full, nothing };

/// A system whose calls go as planned. Every call but a write counts, and one of them may fail.
struct scripted : io::writing_calls {
    static constexpr std::size_t largest = 4;
    struct plan {
        std::vector<outcome> writes;
        std::size_t next = 0;
        int calls = 0, fails = -1, code = EIO, open = 0;
        std::string order;
    };
    std::shared_ptr<plan> script = std::make_shared<plan>();

    bool fails(char name) const {
        script->order += name;
        if (script->calls++ != script->fails) return false;
        errno = script->code;
        return true;
    }
    int create(char const* path) const {
        if (fails('c')) return -1;
        ++script->open;
        return io::writing_calls::create(path);
    }
    int open_folder(char const* path) const {
        if (fails('o')) return -1;
        ++script->open;
        return io::writing_calls::open_folder(path);
    }
    ::ssize_t write(int to, void const* from, std::size_t size, ::off_t at) const {
        REQUIRE(size <= largest);
        auto const what =
            script->next < script->writes.size() ? script->writes[script->next++] : outcome::whole;
        if (what == outcome::interrupted) return errno = EINTR, -1;
        if (what == outcome::full) return errno = ENOSPC, -1;
        if (what == outcome::nothing) return 0;
        return io::writing_calls::write(to, from, what == outcome::one_byte ? 1 : size, at);
    }
    int flush(int which) const { return fails('f') ? -1 : io::writing_calls::flush(which); }
    int close(int which) const { // closes also where it says that it failed, as Linux does
        bool const failed = fails('x');
        --script->open;
        int const result = io::writing_calls::close(which);
        if (failed) errno = script->code;
        return failed ? -1 : result;
    }
    int rename(char const* from, char const* to) const {
        return fails('r') ? -1 : io::writing_calls::rename(from, to);
    }
};

} // namespace

TEST_CASE("a file takes its name in commit, and leaves nothing without") {
    files::folder const here;
    std::string const path = here.write("f", "old");
    {
        io::new_file file{path};
        file.write(0, bytes("new bytes"));
        CHECK(files::read(path) == "old");
    }
    CHECK(files::read(path) == "old");
    CHECK(here.count() == 1);
    io::new_file file{path};
    file.write(4, bytes("bytes"));
    file.write(0, bytes("new "));
    file.commit();
    CHECK(files::read(path) == "new bytes");
    CHECK(here.count() == 1);
    CHECK(message([&] { file.commit(); }).find("expected one commit()") != std::string::npos);
    CHECK(message([&] { file.write(0, bytes("x")); }).find("before commit()") != std::string::npos);
    io::new_file a{here.at("g")}, b{here.at("g")}; // two at once: the last one stays
    a.write(0, bytes("a"));
    b.write(0, bytes("b"));
    b.commit();
    a.commit();
    CHECK(files::read(here.at("g")) == "a");
}

TEST_CASE("what is there and is not a file is never replaced") {
    files::folder const here;
    CHECK(message([&] { io::new_file{here.path.string()}; }).find("a regular file or none") !=
          std::string::npos);
    CHECK(message([] { io::new_file{"/dev/null"}; }).find("a regular file or none") !=
          std::string::npos);
    CHECK(message([&] { io::new_file{here.at("none/f")}; }).find("No such file") !=
          std::string::npos);
    CHECK(here.count() == 0);
}

TEST_CASE("every order of interruptions, short writes and a full disk") {
    files::folder const here;
    std::string const path = here.at("f");
    for (int plan = 0; plan < 5 * 5 * 5 * 5; ++plan) {
        here.write("f", "old");
        scripted calls;
        for (int rest = plan, i = 0; i < 4; ++i, rest /= 5)
            calls.script->writes.push_back(static_cast<outcome>(rest % 5));
        std::size_t done = 0;
        bool fails = false;
        for (auto const o : calls.script->writes) {
            if (done == 9) break;
            fails = fails || o == outcome::full || o == outcome::nothing;
            if (o == outcome::one_byte) ++done;
            if (o == outcome::whole) done += std::min<std::size_t>(scripted::largest, 9 - done);
        }
        auto const text = message([&] {
            io::basic_new_file<scripted> file{path, calls};
            file.write(0, bytes("123456789"));
            file.commit();
        });
        REQUIRE(text.empty() == !fails);
        REQUIRE(files::read(path) == (fails ? "old" : "123456789"));
        REQUIRE(here.count() == 1);
        REQUIRE(calls.script->open == 0);
    }
}

TEST_CASE("whichever call fails, there is an error and the old file or the new one") {
    files::folder const here;
    std::string const path = here.at("f");
    auto const run = [&](int fails, int code) {
        here.write("f", "old");
        scripted calls;
        calls.script->fails = fails;
        calls.script->code = code;
        auto const text = message([&] {
            io::basic_new_file<scripted> file{path, calls};
            file.write(0, bytes("new"));
            file.commit();
        });
        CHECK(here.count() == 1);
        CHECK(calls.script->open == 0);
        return std::pair{text, calls.script->order};
    };
    CHECK(run(-1, 0) == std::pair{std::string(), std::string("cfxrofx")});
    for (int call = 0; call < 7; ++call) {
        auto const text = run(call, EIO).first;
        INFO(call << text);
        CHECK(text.rfind(path + ": expected ", 0) == 0);
        CHECK(text.find("Input/output error") != std::string::npos);
        CHECK(files::read(path) == (call < 4 ? "old" : "new"));
    }
    for (int call : {0, 1, 5}) { // an interrupted one is tried again
        CHECK(run(call, EINTR).first.empty());
        CHECK(files::read(path) == "new");
    }
}
