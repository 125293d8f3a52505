// expect: an executor needs for_each(count, f): run f(item, worker) for every item
#include <prytany/exec/concept.hpp>

using namespace prytany;

struct in_turn {
    index_t width() const { return 1; }
#if !defined(PRYTANY_MUST_FAIL)
    template <class F>
    void for_each(index_t count, F&& f) {
        for (index_t i = 0; i < count; ++i) f(i, index_t{0});
    }
#endif
};

static_assert(executor<in_turn>);
