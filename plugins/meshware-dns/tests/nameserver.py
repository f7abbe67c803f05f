"""A real DNS server on loopback, UDP and TCP on one port, that also misbehaves."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class Nameserver:
    """Answers by `zone[name, type] = (ttl, [texts])`. `trouble`: "servfail", "silent", or "truncated" (over UDP)."""

    def __init__(self):
        self.zone, self.trouble, self.asked = {}, "", []
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                answer = server.answer(data, "udp")
                if answer is not None:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                (size,) = struct.unpack("!H", self.rfile.read(2))
                answer = server.answer(self.rfile.read(size), "tcp")
                if answer is not None:
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        self._servers = self._bound(Udp, Tcp)
        self.address = "{}:{}".format(*self._servers[0].server_address)
        for each in self._servers:
            threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True).start()

    @staticmethod
    def _bound(udp, tcp):
        while True:
            first = socketserver.ThreadingUDPServer(("127.0.0.1", 0), udp)
            try:
                second = socketserver.ThreadingTCPServer(first.server_address, tcp, bind_and_activate=False)
                second.allow_reuse_address = True
                second.server_bind()
                second.server_activate()
            except OSError:
                first.server_close()
                second.server_close()
                continue
            return first, second

    def stop(self):
        for each in self._servers:
            each.shutdown()
            each.server_close()

    def answer(self, data, way):
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, way))
        if self.trouble == "silent":
            return None
        answer = dns.message.make_response(query)
        if self.trouble == "servfail":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif self.trouble == "truncated" and way == "udp":
            answer.flags |= dns.flags.TC
        else:
            self.fill(answer, name, kind)
        return answer.to_wire()

    def fill(self, answer, name, kind):
        ttl, (target,) = self.zone.get((name, "CNAME"), (0, [None]))
        if target is not None:
            answer.answer.append(dns.rrset.from_text(name + ".", ttl, "IN", "CNAME", target))
            name = target.rstrip(".")
        if not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif (name, kind) in self.zone:
            ttl, texts = self.zone[name, kind]
            answer.answer.append(dns.rrset.from_text(name + ".", ttl, "IN", kind, *texts))


def free_port():
    """A port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
