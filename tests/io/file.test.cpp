// SPDX-License-Identifier: MIT
// Reading a file: what is refused, what the system may do meanwhile, and files that change.
#include "support/catch.hpp"

#include <chrono>
#include <memory>
#include <numeric>

#include <sys/socket.h>
#include <sys/un.h>

#include "io/files.hpp"
#include "prytany/io/file.hpp"

using namespace prytany;
using files::message;

namespace {

std::string all_of(auto const& file) {
    std::string out(static_cast<std::size_t>(file.size()), '?');
    file.read(0, std::as_writable_bytes(std::span(out)));
    return out;
}

enum class outcome { whole, interrupted, one_byte, failed, end };

/// A system whose calls go as planned; what is not planned goes well.
struct scripted : io::system_calls {
    static constexpr std::size_t largest = 4;
    struct plan {
        std::vector<outcome> reads;
        std::size_t next = 0;
        int open_fails = 0, status_fails = 0, map_fails = 0, opened = 0, closed = 0, unmapped = 0;
        std::size_t asked = 0;
    };
    std::shared_ptr<plan> script = std::make_shared<plan>();

    int open(char const* path) const noexcept {
        if (script->open_fails != 0) {
            errno = script->open_fails;
            if (errno == EINTR) script->open_fails = 0;
            return -1;
        }
        ++script->opened;
        return io::system_calls::open(path);
    }
    int status(int file, struct ::stat& to) const noexcept {
        if (script->status_fails != 0) return errno = script->status_fails, -1;
        return io::system_calls::status(file, to);
    }
    ::ssize_t read(int file, void* to, std::size_t bytes, ::off_t at) const noexcept {
        script->asked = std::max(script->asked, bytes);
        auto const what =
            script->next < script->reads.size() ? script->reads[script->next++] : outcome::whole;
        if (what == outcome::interrupted) return errno = EINTR, -1;
        if (what == outcome::failed) return errno = EIO, -1;
        if (what == outcome::end) return 0;
        return io::system_calls::read(file, to, what == outcome::one_byte ? 1 : bytes, at);
    }
    void* map(int file, std::size_t bytes) const noexcept {
        if (script->map_fails != 0) return errno = script->map_fails, MAP_FAILED;
        return io::system_calls::map(file, bytes);
    }
    void unmap(void* at, std::size_t bytes) const noexcept {
        ++script->unmapped;
        io::system_calls::unmap(at, bytes);
    }
    void close(int file) const noexcept {
        ++script->closed;
        io::system_calls::close(file);
    }
};
using scripted_file = io::basic_file<scripted>;

/// What reading nine bytes must come to: the message of an error, or nothing.
std::string expected(std::vector<outcome> const& reads) {
    std::size_t done = 0;
    for (auto const o : reads) {
        if (done == 9) return {};
        if (o == outcome::failed) return "data at byte " + std::to_string(done);
        if (o == outcome::end) return std::to_string(9 - done) + " more bytes at byte";
        if (o == outcome::one_byte) ++done;
        if (o == outcome::whole) done += std::min<std::size_t>(scripted::largest, 9 - done);
    }
    return {};
}

} // namespace

TEST_CASE("a file is read at any place, in both ways") {
    files::folder const here;
    std::string const path = here.write("f", "0123456789");
    for (auto const how : {io::access::read, io::access::map}) {
        io::file file{path, how};
        CHECK(file.path() == path);
        CHECK(file.size() == 10);
        CHECK(file.is_mapped() == (how == io::access::map));
        CHECK(all_of(file) == "0123456789");
        std::string part(3, '?');
        auto const to = std::as_writable_bytes(std::span(part));
        file.read(7, to);
        CHECK(part == "789");
        file.read(10, to.first(0));
        CHECK(message([&] { file.read(8, to); }) ==
              path + ": expected bytes within its 10, got 3 from byte 8");
        CHECK_THROWS_AS(file.read(-1, to), error);
        CHECK_THROWS_AS(file.read(11, to.first(0)), error);
        io::file moved = std::move(file);
        CHECK(all_of(moved) == "0123456789");
        moved = io::file{here.write("g", "other"), how};
        CHECK(all_of(moved) == "other");
    }
    CHECK(all_of(io::file{here.write("none", ""), io::access::map}).empty());
}

TEST_CASE("what is not a regular file is refused at once") { // X11
    files::folder const here;
    auto const open = [](std::string const& path) { return message([&] { io::file{path}; }); };
    REQUIRE(::mkfifo(here.at("fifo").c_str(), 0600) == 0);
    auto const start = std::chrono::steady_clock::now();
    CHECK(open(here.at("fifo")) == here.at("fifo") + ": expected a regular file, got a FIFO");
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
    CHECK(open(here.path.string()).find("got a directory") != std::string::npos);
    CHECK(open("/dev/zero").find("got a device") != std::string::npos);
    CHECK(open(here.at("none")).find("a file that can be opened, got No such file") !=
          std::string::npos);
    CHECK(open("").find("a file that can be opened") != std::string::npos);
    std::filesystem::create_symlink("loop", here.path / "loop");
    CHECK(open(here.at("loop")).find("a file that can be opened") != std::string::npos);
    std::string const path = here.write("f", "x");
    std::filesystem::create_symlink("f", here.path / "link");
    CHECK(open(here.at("link")).empty());
    scripted calls;
    calls.script->open_fails = EACCES; // who runs the tests may be allowed everything
    CHECK(message([&] {
              scripted_file{path, io::access::read, calls};
          }) == path + ": expected a file that can be opened, got Permission denied");
    calls.script->open_fails = EINTR;
    CHECK(message([&] { scripted_file{path, io::access::read, calls}; }).empty());
    CHECK(calls.script->opened == 1);
    CHECK(calls.script->closed == 1);
}

TEST_CASE("a file that changes after it was opened is an error") { // X12
    files::folder const here;
    for (auto const how : {io::access::read, io::access::map}) {
        auto const after = [&](auto const& change) {
            std::string const path = here.write("f", std::string(5000, 'a'));
            io::file const file{path, how};
            CHECK(message([&] { all_of(file); }).empty());
            change(path);
            return message([&] { all_of(file); }) + message([&] { file.check_unchanged(); });
        };
        namespace fs = std::filesystem;
        auto const changed = "got a file changed since";
        CHECK(after([](auto& p) { fs::resize_file(p, 6000); }).find(changed) != std::string::npos);
        CHECK(after([](auto& p) { fs::resize_file(p, 10); }).find(changed) != std::string::npos);
        CHECK(after([](auto& p) { fs::resize_file(p, 0); }).find(changed) != std::string::npos);
        CHECK(after([](auto& p) { fs::remove(p); }).find(changed) != std::string::npos);
        CHECK(after([&](auto& p) {
                  fs::rename(here.write("g", std::string(5000, 'b')), p);
              }).find(changed) != std::string::npos);
        CHECK(after([](auto& p) { // the same size, another time
                  fs::last_write_time(p, fs::last_write_time(p) - std::chrono::seconds(1));
              })
                  .find(changed) != std::string::npos);
        CHECK(after([](auto&) {}).empty());
    }
}

TEST_CASE("every order of interruptions, short reads and failures") {
    files::folder const here;
    std::string const path = here.write("f", "123456789");
    for (int plan = 0; plan < 5 * 5 * 5 * 5 * 5; ++plan) {
        scripted calls;
        for (int rest = plan, i = 0; i < 5; ++i, rest /= 5)
            calls.script->reads.push_back(static_cast<outcome>(rest % 5));
        {
            scripted_file const file{path, io::access::read, calls};
            std::string got;
            auto const text = message([&] { got = all_of(file); });
            auto const want = expected(calls.script->reads);
            if (want.empty()) {
                REQUIRE(text.empty());
                REQUIRE(got == "123456789");
            } else {
                REQUIRE(text.find(want) != text.npos);
            }
            REQUIRE(calls.script->asked <= scripted::largest);
        }
        REQUIRE(calls.script->closed == 1);
    }
}

TEST_CASE("a failed call is an error that leaves nothing open") {
    files::folder const here;
    std::string const path = here.write("f", "123456789");
    scripted calls;
    calls.script->status_fails = EIO;
    CHECK(message([&] {
              scripted_file{path, io::access::read, calls};
          }).find("Input/output error") != std::string::npos);
    CHECK(calls.script->closed == 1);
    calls.script->status_fails = 0;
    calls.script->map_fails = ENOMEM;
    CHECK(message([&] {
              scripted_file{path, io::access::map, calls};
          }).find("a file that can be mapped") != std::string::npos);
    CHECK(calls.script->closed == 2);
    CHECK(calls.script->unmapped == 0);
    calls.script->map_fails = 0;
    { scripted_file const file{path, io::access::map, calls}; }
    CHECK(calls.script->unmapped == 1);
    CHECK(calls.script->closed == 3);
}

TEST_CASE("a file system without mappings is read instead") { // X13
    files::folder const here;
    scripted calls;
    calls.script->map_fails = ENODEV;
    scripted_file const file{here.write("f", "123456789"), io::access::map, calls};
    CHECK_FALSE(file.is_mapped());
    CHECK(all_of(file) == "123456789");
}
