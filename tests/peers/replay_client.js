// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client by Node.js and ws: node replay_client.js CA URL REQUEST
//
// Sends REQUEST once connected and prints every message as a line, until the server says goodbye;
// then the close code.
'use strict';

const fs = require('fs');
const WebSocket = require('ws');

const [ca, url, request] = process.argv.slice(2);
const client = new WebSocket(url, { ca: fs.readFileSync(ca) });
client.on('open', () => client.send(request));
client.on('message', (data) => process.stdout.write(`${data.toString()}\n`));
client.on('error', (error) => {
    process.stderr.write(`${error}\n`);
    process.exitCode = 1;
});
client.on('close', (code) => process.stdout.write(`closed ${code}\n`));
