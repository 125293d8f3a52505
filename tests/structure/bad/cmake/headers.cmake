set(PRYTANY_HEADERS
    include/prytany/core/gone.hpp
    include/prytany/router/tested.hpp
    include/prytany/core/lost.hpp
    include/prytany/exec/pool.hpp
    include/prytany/router/detail/part.hpp
)
