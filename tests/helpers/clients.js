// SPDX-License-Identifier: Apache-2.0
// clients.js KIND HOST PORT COUNT: dials COUNT times the way KIND does, and prints each answer.
const net = require('net');
const http = require('http');

const [kind, host, port, count] = process.argv.slice(2);

function byNet() {
	return new Promise((resolve, reject) => {
		const socket = net.connect(Number(port), host, () => socket.write('who\n'));
		socket.setTimeout(10000, () => socket.destroy(new Error('timeout')));
		socket.once('data', (data) => {
			socket.end();
			resolve(data.toString());
		});
		socket.once('error', reject);
	});
}

function byHttp() {
	return new Promise((resolve, reject) => {
		const request = http.get({ host, port, agent: false, timeout: 10000 }, (response) => {
			let text = '';
			response.on('data', (data) => { text += data; });
			response.on('end', () => resolve(text));
		});
		request.once('error', reject);
	});
}

// fetch keeps its connection: one dial in each process.
async function byFetch() {
	return (await fetch(`http://${host}:${port}/`)).text();
}

(async () => {
	const one = { net: byNet, http: byHttp, fetch: byFetch }[kind];
	for (let i = 0; i < Number(count); i++)
		process.stdout.write(await one());
})().catch((error) => {
	console.error(error);
	process.exit(1);
});
