-- SPDX-License-Identifier: Apache-2.0
-- For sysbench: the least that a server can be asked for, so that the way there is most of it.
function thread_init()
	con = sysbench.sql.driver():connect()
end

function event()
	con:query("SELECT 1")
end

function thread_done()
	con:disconnect()
end
