// SPDX-License-Identifier: Apache-2.0
// java -cp JARS PoolHikari.java HOST PORT CONNECTIONS PAUSE_MS: a constant load on a pool of
// HikariCP over MariaDB's driver, until stdin ends. All CONNECTIONS are in use at once, again and again with PAUSE_MS between;
// each use prints who answered, or "failed" and why. But for its size the pool is as it comes.
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.IOException;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;

public class PoolHikari {
	static final int LIMIT_S = 60;

	static HikariDataSource pool(String host, String port, int connections) {
		HikariConfig config = new HikariConfig();

		config.setJdbcUrl("jdbc:mariadb://" + host + ":" + port + "/");
		config.setUsername("root");
		config.setMaximumPoolSize(connections);
		return new HikariDataSource(config);
	}

	static String use(HikariDataSource pool, CyclicBarrier allInUse) {
		try (Connection connection = pool.getConnection()) {
			allInUse.await(LIMIT_S, TimeUnit.SECONDS);
			try (Statement statement = connection.createStatement();
			     ResultSet rows = statement.executeQuery("select concat('backend-', @@server_id)")) {
				rows.next();
				return rows.getString(1);
			}
		} catch (Exception e) {
			return ("failed " + e).replace('\n', ' ');
		}
	}

	static void load(HikariDataSource pool, CyclicBarrier allInUse, long pauseMs) {
		try {
			for (;; Thread.sleep(pauseMs))
				System.out.println(use(pool, allInUse));
		} catch (InterruptedException e) {
			return;
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
		int connections = Integer.parseInt(args[2]);
		HikariDataSource pool = pool(args[0], args[1], connections);
		CyclicBarrier allInUse = new CyclicBarrier(connections);

		for (int i = 0; i < connections; i++) {
			Thread thread = new Thread(() -> load(pool, allInUse, Long.parseLong(args[3])));

			thread.setDaemon(true);
			thread.start();
		}
		endOfInput();
		System.exit(0);
	}
}
