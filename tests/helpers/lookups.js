// SPDX-License-Identifier: Apache-2.0
// lookups.js NAME…: looks each name up in the ways that Node has, and prints the answers.
const dns = require('dns');

const ways = [
	{ all: true },
	{ family: 4 },
	{ family: 6 },
	{ all: true, family: 6, hints: dns.V4MAPPED },
	{ all: true, hints: dns.ADDRCONFIG },
];

(async () => {
	for (const name of process.argv.slice(2)) {
		for (const way of ways) {
			const answer = await dns.promises.lookup(name, way).catch((error) => `${error.code} ${error.errno}`);
			console.log(name.slice(0, 40), JSON.stringify(way), JSON.stringify(answer));
		}
	}
})();
