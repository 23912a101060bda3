// SPDX-License-Identifier: Apache-2.0
// java PoolHttp.java KIND URL CONNECTIONS PAUSE_MS: a constant load on connections that are kept, until stdin ends.
//
// CONNECTIONS requests for URL are under way at once, again and again with PAUSE_MS between; each prints who answered, or
// "failed" and why. What keeps the connections is KIND:
//
//	client      java.net.http.HttpClient as it comes, which asks whether HTTP/2 is spoken
//	client-1.1  one that was told that it is not
//	url         java.net.HttpURLConnection; it keeps as many as the property http.maxConnections says
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class PoolHttp {
	static final int TIMEOUT_MS = 30000;

	static String checked(int status, String text) {
		return status == 200 ? text.trim() : "failed status " + status;
	}

	static String failure(Throwable e) {
		return ("failed " + e + (e.getCause() == null ? "" : ": " + e.getCause())).replace('\n', ' ');
	}

	static Callable<List<String>> byClient(HttpClient client, URI url, int count) {
		HttpRequest request = HttpRequest.newBuilder(url).timeout(Duration.ofMillis(TIMEOUT_MS)).build();

		return () -> {
			List<CompletableFuture<String>> all = new ArrayList<>();
			List<String> answers = new ArrayList<>();

			for (int i = 0; i < count; i++)
				all.add(client.sendAsync(request, HttpResponse.BodyHandlers.ofString())
						.handle((response, e) -> e == null ? checked(response.statusCode(), response.body()) : failure(e)));
			for (CompletableFuture<String> one : all)
				answers.add(one.get());
			return answers;
		};
	}

	static String ask(URI url) {
		try {
			HttpURLConnection connection = (HttpURLConnection)url.toURL().openConnection();

			connection.setConnectTimeout(TIMEOUT_MS);
			connection.setReadTimeout(TIMEOUT_MS);
			try (InputStream in = connection.getInputStream()) {
				return checked(connection.getResponseCode(), new String(in.readAllBytes()));
			}
		} catch (Exception e) {
			return failure(e);
		}
	}

	static Callable<List<String>> byUrl(URI url, int count) {
		ExecutorService threads = Executors.newFixedThreadPool(count, (run) -> {
			Thread thread = new Thread(run);

			thread.setDaemon(true);
			return thread;
		});

		return () -> {
			List<Callable<String>> all = new ArrayList<>();
			List<String> answers = new ArrayList<>();

			for (int i = 0; i < count; i++)
				all.add(() -> ask(url));
			for (Future<String> one : threads.invokeAll(all))
				answers.add(one.get());
			return answers;
		};
	}

	static Callable<List<String>> load(String kind, URI url, int count) {
		switch (kind) {
		case "client":
			return byClient(HttpClient.newHttpClient(), url, count);
		case "client-1.1":
			return byClient(HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build(), url, count);
		case "url":
			return byUrl(url, count);
		default:
			throw new IllegalArgumentException(kind);
		}
	}

	static Integer endOfInput() {
		try {
			return System.in.read();
		} catch (IOException e) {
			return -1;
		}
	}

	public static void main(String[] args) throws Exception {
		Callable<List<String>> load = load(args[0], URI.create(args[1]), Integer.parseInt(args[2]));
		long pauseMs = Long.parseLong(args[3]);
		CompletableFuture<Integer> end = CompletableFuture.supplyAsync(PoolHttp::endOfInput);

		while (!end.isDone()) {
			for (String answer : load.call())
				System.out.println(answer);
			Thread.sleep(pauseMs);
		}
		System.exit(0); // what keeps connections has threads of its own
	}
}
