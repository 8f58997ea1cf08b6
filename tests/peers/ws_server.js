// SPDX-License-Identifier: GPL-3.0-or-later
//
// The exchange played by Node.js and ws: node ws_server.js CERTIFICATES TEXTS STREAMS
//
// Each connection, once it has subscribed to STREAMS streams, gets a quarter of the lines of
// TEXTS: some fragmented, with pings between, ended by close codes or by cutting the line after
// all was acknowledged.
'use strict';

const fs = require('fs');
const https = require('https');
const { WebSocketServer } = require('ws');

const [folder, textsFile, streams] = process.argv.slice(2);
const texts = fs.readFileSync(textsFile, 'utf8').split('\n');
const share = Math.ceil(texts.length / 4);
const codes = [1000, 1012, 4000, 1001];
let sent = 0;
let connections = 0;

const server = https.createServer({
    cert: fs.readFileSync(`${folder}/localhost.pem`),
    key: fs.readFileSync(`${folder}/localhost.key`),
}, (request, response) => {
    if (!request.url.includes('exchangeInfo')) { // of REST it knows nothing else
        response.writeHead(404).end();
        return;
    }
    const filters = [{ filterType: 'PRICE_FILTER', tickSize: '0.01000000' }];
    const symbol = {
        symbol: 'BTCUSDT', status: 'TRADING', baseAsset: 'BTC', quoteAsset: 'USDT', filters,
    };
    response.end(JSON.stringify({ symbols: [symbol] }));
});
const sockets = new WebSocketServer({ server, perMessageDeflate: true });

function sendShare(socket) {
    const code = codes[connections++ % codes.length];
    const mine = texts.slice(sent, sent + share);
    sent += mine.length;
    mine.forEach((text, number) => {
        if (number % 5 === 0) {
            const bytes = Buffer.from(text);
            const cut = bytes.length >> 1;
            socket.send(bytes.subarray(0, cut), { fin: false, binary: false });
            socket.ping('between fragments');
            socket.send(bytes.subarray(cut), { fin: true, binary: false });
        } else {
            socket.send(text);
        }
    });
    // A pong to this ping means that everything before it was read.
    socket.once('pong', () => {});
    socket.ping('all sent');
    socket.on('pong', (data) => {
        if (data.toString() === 'all sent' && sent < texts.length) socket.close(code, 'as planned');
    });
}

sockets.on('connection', (socket) => {
    let subscribed = 0;
    socket.on('error', () => {});
    socket.on('message', (data) => {
        const request = JSON.parse(data);
        socket.send(JSON.stringify({ result: null, id: request.id }));
        if (request.method !== 'SUBSCRIBE') return;
        subscribed += request.params.length;
        if (subscribed >= Number(streams)) sendShare(socket);
    });
});

server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ port: server.address().port }));
});
