# SPDX-License-Identifier: Apache-2.0
"""HAProxy and nginx as TCP proxies in the client's own pod, where they are nearest. `services`: (name, cluster, endpoints) each."""

HAPROXY = """
global
	maxconn 8000
	log stderr local0 emerg
defaults
	mode tcp
	balance roundrobin
	timeout connect 5s
	timeout client 1h
	timeout server 1h
"""

NGINX = """
load_module %(modules)s/ngx_stream_module.so;
daemon off;
user root;
worker_processes auto;
worker_rlimit_nofile 20000;
pid %(folder)s/nginx.pid;
error_log stderr crit;
events { worker_connections 8000; }
stream {
	proxy_connect_timeout 5s;
	proxy_timeout 1h;
	tcp_nodelay on;
	access_log off;
%(servers)s}
"""


def local_port(number):
	return 8100 + number


def haproxy(services):
	lines = []
	for number, (name, _, endpoints) in enumerate(services):
		lines.append("listen %s\n\tbind 127.0.0.1:%d" % (name.replace("/", "-"), local_port(number)))
		lines += ["\tserver s%d %s:%d" % (i, *endpoint) for i, endpoint in enumerate(endpoints)]
	return HAPROXY + "\n".join(lines) + "\n"


def nginx(services, folder, modules):
	lines = []
	for number, (name, _, endpoints) in enumerate(services):
		name = name.replace("/", "-")
		servers = "\n".join("\t\tserver %s:%d;" % endpoint for endpoint in endpoints)
		lines.append("\tupstream %s {\n%s\n\t}" % (name, servers))
		lines.append("\tserver {\n\t\tlisten 127.0.0.1:%d backlog=4096;\n\t\tproxy_pass %s;\n\t}"
			     % (local_port(number), name))
	return NGINX % {"folder": folder, "modules": modules, "servers": "\n".join(lines) + "\n"}
