// Serves the files in a folder, as programs on Node do by hand, and says in X-Read which file each request stands for.
// Prints its port, and ends when its standard input does.
'use strict'
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')

const root = process.argv[2]

const server = http.createServer((request, response) => {
  let file
  try {
    file = path.posix.join(root, decodeURIComponent(new URL(request.url, 'http://node.example').pathname))
  } catch {
    response.writeHead(400).end()
    return
  }
  response.setHeader('X-Read', encodeURIComponent(file))
  fs.readFile(file, (error, content) => {
    response.writeHead(error ? 404 : 200).end(error ? '' : content)
  })
})

server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume().on('end', () => process.exit())
