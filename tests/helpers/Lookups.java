// SPDX-License-Identifier: Apache-2.0
// java Lookups.java NAME…: looks each name up, and prints the answers.
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;

public class Lookups {
	public static void main(String[] names) {
		for (String name : names) {
			try {
				System.out.println(Arrays.toString(InetAddress.getAllByName(name)));
			} catch (UnknownHostException e) {
				System.out.println(e.getMessage());
			}
		}
	}
}
