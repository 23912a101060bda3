// SPDX-License-Identifier: Apache-2.0
// pool_mysql2.js HOST PORT CONNECTIONS PAUSE_MS: a constant load on a pool of mysql2, until stdin ends. All CONNECTIONS are
// in use at once, again and again with PAUSE_MS between; each use prints who answered, or "failed" and why. But for its size
// the pool is as it comes: it does not test a connection before it hands it out.
const mysql = require('mysql2/promise');

const [host, port, connections, pauseMs] = process.argv.slice(2);
const pool = mysql.createPool({ host, port: Number(port), user: 'root', connectionLimit: Number(connections) });

async function round() {
	// None is given back before all are taken.
	const uses = Array.from({ length: Number(connections) }, () => pool.query("select concat('backend-', @@server_id) as who"));
	for (const { value, reason } of await Promise.allSettled(uses)) {
		const text = value ? value[0][0].who : `failed ${reason.code}: ${reason.message}`;
		process.stdout.write(text.replaceAll('\n', ' ') + '\n');
	}
	setTimeout(round, Number(pauseMs));
}

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
round();
