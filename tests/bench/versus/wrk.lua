-- SPDX-License-Identifier: Apache-2.0
-- What wrk says in the end: requests, seconds, the time of 99 of 100 in us, errors.
done = function(summary, latency)
	local e = summary.errors
	io.write(string.format("done %d %f %d %d\n", summary.requests, summary.duration / 1e6, latency:percentile(99),
		e.connect + e.read + e.write + e.status + e.timeout))
end
