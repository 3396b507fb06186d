# For those whose fingers type make; everything is in ./run.
.PHONY: demo serve test soak check bench docker

demo serve test soak check bench:
	./run $@

docker:
	docker build --file docker/Dockerfile --tag fedrec:0.1.0 .
