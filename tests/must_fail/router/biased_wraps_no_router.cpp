// expect: a router needs a nested params struct: its run-time numbers, all defaulted
#include <prytany/router/biased.hpp>
#include <prytany/router/score/linear.hpp>
#include <prytany/router/top_k.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using inner = int;
#else
using inner = top_k;
#endif

biased<inner> const router{};
