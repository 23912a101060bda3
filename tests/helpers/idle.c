/* SPDX-License-Identifier: Apache-2.0 */
/* idle [ARGUMENT...]: does nothing, whatever it is told; what is preloaded may have more to do. */
int main(void)
{
	return 0;
}
