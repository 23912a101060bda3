// SPDX-License-Identifier: Apache-2.0
// java Clients.java HOST PORT COUNT: dials COUNT times by each of three ways, and prints each answer.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

public class Clients {
	static String bySocket(String host, int port) throws Exception {
		try (Socket socket = new Socket(host, port)) {
			socket.setSoTimeout(10000);
			socket.getOutputStream().write("who\n".getBytes());
			return new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine();
		}
	}

	static String byChannel(String host, int port) throws Exception {
		try (SocketChannel channel = SocketChannel.open(new InetSocketAddress(host, port))) {
			ByteBuffer buffer = ByteBuffer.allocate(100);

			channel.write(ByteBuffer.wrap("who\n".getBytes()));
			channel.read(buffer);
			return new String(buffer.array(), 0, buffer.position()).trim();
		}
	}

	static String byHttpClient(String host, int port) throws Exception {
		HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
		HttpRequest request = HttpRequest.newBuilder(URI.create("http://" + host + ":" + port + "/")).build();

		return client.send(request, HttpResponse.BodyHandlers.ofString()).body().trim();
	}

	public static void main(String[] args) throws Exception {
		String host = args[0];
		int port = Integer.parseInt(args[1]), count = Integer.parseInt(args[2]);

		for (int i = 0; i < count; i++)
			System.out.println(bySocket(host, port));
		for (int i = 0; i < count; i++)
			System.out.println(byChannel(host, port));
		for (int i = 0; i < count; i++)
			System.out.println(byHttpClient(host, port));
	}
}
