// SPDX-License-Identifier: GPL-3.0-or-later
//
// Node.js and ws talk to ws_echo: node ws_echo_peer.js client URL CERTIFICATES
//                                 node ws_echo_peer.js server PORT CERTIFICATES
//
// Either sends messages of all sizes, whole, as text and in fragments, compares what comes back,
// closes with 4001 and prints a line of JSON; a server prints its port first.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const https = require('https');
const { WebSocket, WebSocketServer } = require('ws');

const [role, where, folder] = process.argv.slice(2);
const sizes = [0, 1, 125, 126, 127, 128, 4096, 65535, 65536, 70001, 1 << 20];
const messages = sizes.flatMap((size) => {
    const bytes = crypto.randomBytes(size);
    const text = Buffer.from('é'.repeat(size >> 1) + 'x'.repeat(size & 1));
    return [
        { payload: bytes, binary: true, pieces: 1 },
        { payload: text, binary: false, pieces: 1 },
        { payload: text, binary: false, pieces: 3 },
    ];
});

function send(socket, { payload, binary, pieces }) {
    const step = Math.floor(payload.length / pieces) + 1; // within a character, too
    for (let n = 0; n < pieces; n += 1) {
        const part = payload.subarray(n * step, (n + 1) * step);
        socket.send(part, { binary, fin: n + 1 === pieces });
        socket.ping(`between ${n}`);
    }
}

function talk(socket, done) {
    let at = 0;
    socket.on('message', (data, binary) => {
        const sent = messages[at];
        if (binary !== sent.binary || Buffer.compare(data, sent.payload) !== 0) {
            throw new Error(`message ${at} came back changed`);
        }
        at += 1;
        if (at < messages.length) send(socket, messages[at]);
        else socket.close(4001, 'done');
    });
    socket.on('close', (code) => {
        console.log(JSON.stringify({ messages: at, code }));
        done();
    });
    send(socket, messages[0]);
}

if (role === 'client') {
    const socket = new WebSocket(where, { ca: fs.readFileSync(`${folder}/ca.pem`) });
    socket.on('open', () => talk(socket, () => {}));
} else {
    const server = https.createServer({
        cert: fs.readFileSync(`${folder}/localhost.pem`),
        key: fs.readFileSync(`${folder}/localhost.key`),
    });
    const sockets = new WebSocketServer({ server, perMessageDeflate: true });
    sockets.on('connection', (socket) => talk(socket, () => {}));
    server.listen(Number(where), '127.0.0.1', () => {
        console.log(JSON.stringify({ port: server.address().port }));
    });
}
