vllm bench serve --model Qwen/Qwen2.5-1.5B-Instruct --dataset-name random \
  --random-input-len 256 --random-output-len 128 --random-range-ratio 0.3 \
  --num-prompts 500 --request-rate 8 --burstiness 0.5 --goodput ttft:300 tpot:20
